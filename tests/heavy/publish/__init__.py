"""A publish is killed, frozen and lied to at each of its steps, and what TikTok then shows is counted."""
