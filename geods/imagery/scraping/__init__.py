"""The scraper: budget, journal, retries and the tree it writes."""
