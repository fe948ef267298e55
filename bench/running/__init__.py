"""Who runs what, and where: in this process or in local ones."""
