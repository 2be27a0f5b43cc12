"""All settings, read from the environment. A missing or malformed one stops the process at start.

Every secret may also be given as a file: `SECRET_KEY_FILE=/run/secrets/secret_key`.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import django_stubs_ext
import environ
from django.core.exceptions import ImproperlyConfigured

from checkout.orders.rates import Rates, read_rates
from config.local.presence import demo_environment
from config.mail import mail_settings
from config.policy import content_security_policy

# Lets annotations such as ModelAdmin[Product] exist at run time.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL_DIR = BASE_DIR / ".local"

# A running `make demo` answers for whatever this process was not told.
environ.Env.read_env(demo_environment(LOCAL_DIR))


class SecretFiles(environ.FileAwareMapping):  # type: ignore[misc] # django-environ has no types
    """A file ends with a newline, which is no part of the secret: keys go into HTTP headers."""

    def __getitem__(self, key: str) -> str:
        return str(super().__getitem__(key)).rstrip("\r\n")


class NamingEnv(environ.FileAwareEnv):  # type: ignore[misc] # django-environ has no types
    """Says which setting could not be read, instead of how its value could not be converted."""

    ENVIRON = SecretFiles()

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_value(var, *args, **kwargs)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{var} cannot be read. The README's table says what it looks like."
            ) from error


env = NamingEnv()


def required(name: str, hint: str) -> str:
    try:
        value: str = env.str(name)
    except ImproperlyConfigured:
        raise ImproperlyConfigured(f"{name} is not set. {hint} Or start `make demo`.") from None
    return value


def rates(name: str, text: str) -> Rates:
    try:
        return read_rates(text)
    except ValueError:
        raise ImproperlyConfigured(
            f"{name} cannot be read. It looks like session 20/10m, address 120/10m, shop 5000/1h; "
            "leave out what is not to be limited."
        ) from None


DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = required("SECRET_KEY", "Set it to a long random string.")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "config.admin_app.ShopAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",  # for its fields
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "knox",
    "rest_framework",
    "checkout.catalogue",
    "checkout.orders",
    "checkout",
    "payments",
]

MIDDLEWARE = [
    "checkout.tracing.trace_requests",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "checkout.middleware.unreadable.refuse_unreadable",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "checkout.middleware.lost_connections.RepeatOverANewConnection",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database -----------------------------------------------------------------------------------

required("DATABASE_URL", "Set it to postgres://user:password@host:5432/name.")
try:
    DATABASES = {"default": env.db_url("DATABASE_URL")}
except (ImproperlyConfigured, ValueError) as error:
    raise ImproperlyConfigured(
        "DATABASE_URL cannot be read. It looks like postgres://user:password@host:5432/name."
    ) from error
if DATABASES["default"].get("ENGINE") != "django.db.backends.postgresql":
    raise ImproperlyConfigured(
        "DATABASE_URL must name a PostgreSQL database (postgres://…): the promise of one order "
        "for one purchase rests on its constraints and row locks."
    )

DATABASES["default"]["ENGINE"] = "config.database"

# Behind PgBouncer in transaction mode the limits below cannot travel with the connection. Then set
# them on the role: ALTER ROLE shop SET lock_timeout = '3s'; and so on, as listed in the README.
DATABASE_BEHIND_PGBOUNCER = env.bool("DATABASE_BEHIND_PGBOUNCER", default=False)

# They make a half-open first attempt let go of what it holds, so that the shopper's second press
# gets through: wait 3 s for a lock, 10 s for a statement; an idle transaction ends after 10 s; a
# vanished client is noticed within 5 s.
DATABASE_LIMITS = {
    "default_transaction_isolation": "read\\ committed",
    "lock_timeout": "3s",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",
    "client_connection_check_interval": "5s",
}
DATABASES["default"]["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE_SECONDS", default=60)
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"].setdefault("OPTIONS", {}).update(
    {
        "connect_timeout": 5,
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
)
if DATABASE_BEHIND_PGBOUNCER:
    DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
    DATABASES["default"]["OPTIONS"]["prepare_threshold"] = None
else:
    # What is run again and again is planned once for each connection.
    DATABASES["default"]["OPTIONS"]["server_side_binding"] = True
    DATABASES["default"]["OPTIONS"]["prepare_threshold"] = 5
    DATABASES["default"]["OPTIONS"]["options"] = " ".join(
        f"-c {name}={value}" for name, value in DATABASE_LIMITS.items()
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Shop ---------------------------------------------------------------------------------------

SHOP_NAME = env.str("SHOP_NAME", default="Halfmoon Stationers")
SHOP_CURRENCY = env.str("SHOP_CURRENCY", default="EUR")

# How long an unsent checkout form stays good. A form that was sent leads to its order for ever.
CHECKOUT_TOKEN_MAX_AGE_SECONDS = env.int("CHECKOUT_TOKEN_MAX_AGE_SECONDS", default=2 * 60 * 60)

# An order whose payment waits for the customer that long is cancelled.
UNPAID_ORDER_EXPIRES_SECONDS = env.int("UNPAID_ORDER_EXPIRES_SECONDS", default=24 * 60 * 60)

# --- Limits -------------------------------------------------------------------------------------

# Per session, per network address, in the whole shop; how they are counted is in orders/limits.
# Many customers of one office or mobile network share an address. Nobody presses twenty times.
LIMIT_PLACING = rates(
    "LIMIT_PLACING",
    env.str(
        "LIMIT_PLACING", default="session 20/10m, address 120/10m, client 6000/10m, shop 60000/10m"
    ),
)
# Each decline costs the gateway's good will, and stolen cards are tried out by the hundred.
LIMIT_DECLINES = rates(
    "LIMIT_DECLINES",
    env.str("LIMIT_DECLINES", default="session 5/1h, address 20/1h, shop 500/1h"),
)
if "shop" in LIMIT_DECLINES and len(LIMIT_DECLINES) == 1:
    raise ImproperlyConfigured(
        "LIMIT_DECLINES limits the shop alone. Add session or address, such as session 5/1h: too "
        "many declines in the shop hold back those who have had one of their own."
    )
LIMIT_LOOKUP = rates(
    "LIMIT_LOOKUP",
    env.str("LIMIT_LOOKUP", default="session 5/10m, address 20/10m, shop 600/10m"),
)
# Every request to the API: of one client, of one browser, or of whoever says not who they are.
LIMIT_API = rates(
    "LIMIT_API",
    env.str("LIMIT_API", default="client 3000/1m, session 300/1m, address 600/1m"),
)

# --- Queue --------------------------------------------------------------------------------------

AWS_REGION = env.str("AWS_REGION", default="us-east-1")
AWS_ENDPOINT_URL = env.str("AWS_ENDPOINT_URL", default="")  # unset: Amazon
PAYMENTS_QUEUE_NAME = env.str("PAYMENTS_QUEUE_NAME", default="payments.fifo")
if not PAYMENTS_QUEUE_NAME.endswith(".fifo"):
    raise ImproperlyConfigured(
        f"PAYMENTS_QUEUE_NAME is {PAYMENTS_QUEUE_NAME!r}, but must end in .fifo: a standard queue "
        "keeps no order within one purchase."
    )

# A received message is hidden from other workers for so long; a worker at work extends it. After a
# whole machine was lost, its messages come again when this is over.
MESSAGE_VISIBILITY_SECONDS = env.int("MESSAGE_VISIBILITY_SECONDS", default=25)

# An order that should be moving and has not for so long is published again.
SWEEP_AFTER_SECONDS = env.float("SWEEP_AFTER_SECONDS", default=15 * 60)
SWEEP_EVERY_SECONDS = env.float("SWEEP_EVERY_SECONDS", default=60)

# --- Payments -----------------------------------------------------------------------------------

PAYMENT_GATEWAY = env.str("PAYMENT_GATEWAY", default="payments.gateways.stripe.StripeGateway")
# Dotted path of a function: what that gateway can take of a currency. Loaded by web processes.
GATEWAY_LIMITS = env.str(
    "GATEWAY_LIMITS",
    default="payments.stripe_amounts.limits"
    if PAYMENT_GATEWAY == "payments.gateways.stripe.StripeGateway"
    else "checkout.catalogue.amounts.no_limits",
)
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="")  # unset: Stripe
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="")

# One call to the gateway. Settling an order makes three at most, and has 60 s in all.
GATEWAY_TIMEOUT_SECONDS = env.float("GATEWAY_TIMEOUT_SECONDS", default=8)

# For the Payment Element, which takes the card in the browser.
STRIPE_PUBLISHABLE_KEY = env.str("STRIPE_PUBLISHABLE_KEY", default="")

# Signing secrets of Stripe's webhooks; two while one replaces the other.
STRIPE_WEBHOOK_SECRETS = env.list("STRIPE_WEBHOOK_SECRETS", default=[])

# Where the shop is found from outside, without a slash at the end: https://shop.example. A bank
# sends the customer back there after 3-D Secure.
SHOP_URL = env.str("SHOP_URL", default="").rstrip("/")

# For so long a worker has an order's payment to itself; a worker at work renews it.
PAYMENT_LEASE_SECONDS = env.float("PAYMENT_LEASE_SECONDS", default=20)

# The sandbox moves no money: a shop that used it by mistake would give its goods away.
SANDBOX_GATEWAY_ALLOWED = env.bool("SANDBOX_GATEWAY_ALLOWED", default=False)

# Where the checkout page gets its `payment_method` field from.
PAYMENT_METHOD_TEMPLATE = env.str(
    "PAYMENT_METHOD_TEMPLATE", default="payments/payment_method_sandbox.html"
)

# Tests name a place in the flow here at which the process kills itself; see orders/faultpoints.
FAULT_POINT = env.str("FAULT_POINT", default="")

# --- E-mail -------------------------------------------------------------------------------------

# Unset: mails are printed instead of sent, which `check --deploy` warns of.
try:
    email_url = env.email_url("EMAIL_URL", default="consolemail://")
except (ImproperlyConfigured, ValueError):
    raise ImproperlyConfigured(
        "EMAIL_URL cannot be read. It looks like smtp+tls://user:password@host:587."
    ) from None
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=f"{SHOP_NAME} <shop@localhost>")

# For each answer of the mail server, of which one mail takes about ten.
email_timeout = env.float("EMAIL_TIMEOUT_SECONDS", default=10)
vars().update(mail_settings(email_url, timeout=email_timeout))

# --- Web ----------------------------------------------------------------------------------------

STATIC_URL = "static/"
# Unset: served straight from the apps. Set it for `collectstatic`, in an image for instance.
STATIC_ROOT = env.str("STATIC_ROOT", default=None)
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
SESSION_ENGINE = "checkout.sessions"
CSRF_FAILURE_VIEW = "checkout.views.place.csrf_failure"
# For browsers that ask for neither language, and for mails about orders that tell none.
LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="en")
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "checkout" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

CONTENT_SECURITY_POLICY = content_security_policy(PAYMENT_METHOD_TEMPLATE)

# --- API ----------------------------------------------------------------------------------------

# How many requests of one process may wait for an order's outcome at once. Each holds a thread of
# the web server, of which there are four by the Procfile; the others serve meanwhile.
API_WAITING_AT_MOST = env.int("API_WAITING_AT_MOST", default=2)

KNOX_TOKEN_MODEL = "checkout.ApiToken"  # noqa: S105 - a model's name
# Its own migrations would make a table for the model that ours takes the place of.
MIGRATION_MODULES = {"knox": None}
REST_KNOX = {
    "AUTH_HEADER_PREFIX": "Bearer",
    "TOKEN_PREFIX": "once_",  # so that scanners for leaked secrets know one
    "TOKEN_TTL": None,  # until it is withdrawn
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "checkout.api.clients.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["checkout.api.clients.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["checkout.api.throttles.ClientThrottle"],
    "DEFAULT_PARSER_CLASSES": ["checkout.api.parsing.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "checkout.api.refusing.as_problem",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Shop API",
    "DESCRIPTION": (
        "One purchase, one order, one charge, whatever times out. Send an Idempotency-Key with "
        "each POST, and send the same request with the same key until there is an answer: it is "
        "done once."
    ),
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {"OrderStatus": "checkout.orders.states.OrderStatus"},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "checkout.api.document.complete",
    ],
}

# --- Signing in ---------------------------------------------------------------------------------

# After ten wrong passwords for one name from one address that address waits. Neither alone is
# locked: anybody could lock staff out by their name, or a whole office by its address.
SIGN_IN_LOCKOUT = env.bool("SIGN_IN_LOCKOUT", default=not DEBUG)
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_ENABLED = SIGN_IN_LOCKOUT
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "checkout.client_address.client_address_or_none"
AXES_LOCKOUT_CALLABLE = "checkout.errors.locked_out"
AXES_DISABLE_ACCESS_LOG = True  # who signed in when, and from where, is nobody's business
AXES_ENABLE_ADMIN = False

# Staff give a code from an app beside their password; see `manage.py add_staff_device`.
STAFF_SECOND_FACTOR = env.bool("STAFF_SECOND_FACTOR", default=not DEBUG)
OTP_TOTP_ISSUER = SHOP_NAME
OTP_ADMIN_HIDE_SENSITIVE_DATA = True

LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "account"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in [
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    ]
]

HTTPS_ONLY = env.bool("HTTPS_ONLY", default=not DEBUG)
SESSION_COOKIE_SECURE = HTTPS_ONLY
CSRF_COOKIE_SECURE = HTTPS_ONLY
SECURE_SSL_REDIRECT = HTTPS_ONLY
# Probes come from inside, without TLS.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60 if HTTPS_ONLY else 0
# The shop speaks for its own host name. What else lives under its domain is not for it to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
if env.bool("TRUST_X_FORWARDED_PROTO", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# How many proxies of ours a request comes through, each of which adds to X-Forwarded-For.
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
if TRUSTED_PROXY_COUNT < 0:
    raise ImproperlyConfigured("TRUSTED_PROXY_COUNT must be 0 (no proxy) or more.")

# --- Being watched --------------------------------------------------------------------------------

# Who may read the web processes' /metrics: whoever sends this as a bearer token. Unset: nobody.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
# Where all other processes serve /metrics and /healthz. Unset: nowhere.
METRICS_PORT = env.int("METRICS_PORT", default=0) or None

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": "config.logging.JsonFormatter",
            "fmt": "{asctime}{levelname}{name}{message}",
            "style": "{",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        "stripe": {"level": "WARNING"},
        "botocore": {"level": "WARNING"},
        "axes": {"level": "CRITICAL"},  # it logs names and addresses
        # Requests that were refused are the shopper's business; their URLs hold references.
        "django.request": {"level": "ERROR"},
    },
}
