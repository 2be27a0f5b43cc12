"""The ground floor: what every long-running process has. Nothing here imports anything of ours."""
