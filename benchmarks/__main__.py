"""`make bench`: run every comparison and print what docs/benchmarks.md records."""

from __future__ import annotations

from benchmarks import (
    backup,
    confinement,
    full_milvus,
    get_cluster,
    get_cluster_over_grpc,
    live_pages,
    long_calls,
    memory,
    pages,
    policies,
    restore,
)

if __name__ == "__main__":
    get_cluster.main()
    get_cluster_over_grpc.main()
    pages.main([])
    live_pages.main()
    policies.main([])
    backup.main(["--index", "FLAT"])
    backup.main(["--index", "HNSW", "--groups", "read"])
    restore.main(["--index", "FLAT"])
    restore.main(["--index", "HNSW"])
    full_milvus.main([])
    long_calls.main([])
    memory.main([])
    confinement.main()
