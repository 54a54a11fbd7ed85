"""Confinement of a whole process by the Linux kernel, without Django, cluster or backup.

Below both `clusters.drivers.embedded` and the archive command, so that the two share one
implementation. See docs/adr/0015-confinement.md.
"""
