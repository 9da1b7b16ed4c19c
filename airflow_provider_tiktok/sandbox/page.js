"use strict";
// Puts new and changed cards into the feed; leaves the others alone, so that a playing video plays on.
const feed = document.getElementById("feed");
const shown = new Map();

function place(card, before) {
  const old = document.getElementById(card.id);
  if (old && shown.get(card.id) === card.html) return old;
  shown.set(card.id, card.html);
  const holder = document.createElement("template");
  holder.innerHTML = card.html;
  const fresh = holder.content.firstElementChild;
  // The first answer describes what the page already shows.
  if (old && old.outerHTML === fresh.outerHTML) return old;
  if (old) old.replaceWith(fresh); else feed.insertBefore(fresh, before);
  return fresh;
}

async function refresh() {
  let wait = 3000;
  try {
    const answer = await fetch("/feed/cards?creator=" + encodeURIComponent(feed.dataset.creator));
    const news = await answer.json();
    let before = feed.firstElementChild;
    for (const card of news.cards) before = place(card, before).nextElementSibling;
    const ids = new Set(news.cards.map((card) => card.id));
    for (const card of [...feed.children]) if (!ids.has(card.id)) card.remove();
    document.getElementById("summary").innerHTML = news.summary;
    document.getElementById("empty").hidden = news.cards.length > 0;
    wait = news.busy ? 800 : 3000;
  } catch { /* The sandbox has ended or restarts: keep what is shown and ask again. */ }
  setTimeout(refresh, wait);
}
setTimeout(refresh, 800);
