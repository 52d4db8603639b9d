"""What becomes of a hub as it grows: `make bench-growth`, outside of CI, with tables that are filled in bulk.

A group is a module with `rows()`; add it to `GROUPS` in `bench.growth.__main__`. Long: some minutes and ten
gigabytes of disk for the largest log; HOMEWARD_BENCH_MOST bounds the number of entries.
"""
