"""`make bench`: the speed of the live path, each figure beside a rival in the same run. One file a group of figures."""
