"""For tests, yours and ours: what ships with the library so that the code around a cache can be tested too."""
