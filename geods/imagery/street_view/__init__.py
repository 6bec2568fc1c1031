"""Google Street View as an imagery source."""
