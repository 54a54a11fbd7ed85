"""`make bench`: run every comparison and print what docs/benchmarks.md records."""

from __future__ import annotations

from benchmarks import backup, confinement, get_cluster, long_calls, memory, policies, restore

if __name__ == "__main__":
    get_cluster.main()
    policies.main([])
    backup.main(["--index", "FLAT"])
    backup.main(["--index", "HNSW", "--groups", "read"])
    restore.main(["--index", "FLAT"])
    restore.main(["--index", "HNSW"])
    long_calls.main([])
    memory.main([])
    confinement.main()
