"""The parts of the scraper; `geods.scrape` puts them together."""
