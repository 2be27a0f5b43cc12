from config.settings import *  # noqa: F403

ROOT_URLCONF = "tests.bench.contenders.plain"
