"""Administration: operations on all users and sessions, statistics, and paging of lists."""
