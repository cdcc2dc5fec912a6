"""From tracked people to clips: tubes of boxes, filters that judge them, and the query that selects them."""
