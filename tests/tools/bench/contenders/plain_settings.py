from config.settings import *  # noqa: F403 - the shop's, but for what follows

ROOT_URLCONF = "tests.tools.bench.contenders.plain"
