"""Where moto is known to answer otherwise than Amazon documents: test name → what it does."""

OF_MOTO: dict[str, str] = {}
