"""Programs that are started by hand: the drill, the benchmark, and the guards."""
