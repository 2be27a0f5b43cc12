"""All settings, read from the environment. A missing or malformed one stops the process at start.

Every secret may also be given as a file: `SECRET_KEY_FILE=/run/secrets/secret_key`.
"""

import re
from datetime import timedelta
from pathlib import Path

import django_stubs_ext
import environ

from checkout.orders.limits.rates import Rates, read_rates
from checkout.orders.ways_to_pay.offers import Offer, read_offers
from config.csp import content_security_policy
from config.environment import Environment, refuse
from config.gateways import django_apps, gateway_packages, read_settings, static_folders
from config.local.running_demo import demo_environment
from config.mail import mail_settings
from config.seller import seller, series, time_zone
from payments.gateways import DEFAULT_GATEWAY

# Lets annotations such as ModelAdmin[Product] exist at run time.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL_DIR = BASE_DIR / ".local"

# A running `make demo` provides the settings that this process was not given.
environ.Env.read_env(demo_environment(LOCAL_DIR))

env = Environment()


def rates(name: str, default: str) -> Rates:
    given = env.given(name)
    try:
        return read_rates(default if given is None else given)
    except ValueError:
        refuse(
            name,
            "cannot be read. It looks like session 20/10m, address 120/10m, shop 5000/1h; "
            "leave out what is not to be limited.",
        )


def offers(name: str) -> list[Offer]:
    try:
        return read_offers(env.text(name), PAYMENT_GATEWAYS)
    except ValueError:
        refuse(
            name,
            "cannot be read. It looks like card, transfer DE AT >=20 <=500.00, with names of "
            "PAYMENT_GATEWAYS, countries, and the least and the highest total.",
        )


DEBUG = env.flag("DEBUG", default=False)
env.required("SECRET_KEY", "Set it to a long random string.")
SECRET_KEY = env.secret("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.secrets("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")

# Name → package. The first takes a payment where nobody chose another.
PAYMENT_GATEWAYS = gateway_packages(env, DEFAULT_GATEWAY)
gateway_settings = [read_settings(env, package) for package in PAYMENT_GATEWAYS.values()]
for of_gateway in gateway_settings:
    vars().update(of_gateway.values)

INSTALLED_APPS = [
    "config.apps.ShopAdminConfig",
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
    "checkout.texts",
    "checkout",
    "payments",
    *django_apps(PAYMENT_GATEWAYS.values()),
]

MIDDLEWARE = [
    "checkout.middleware.cloudwatch.tell_cloudwatch",
    "checkout.middleware.tracing.trace_requests",
    "csp.middleware.CSPMiddleware",
    "checkout.middleware.plain_http.refuse_unsafe_over_plain_http",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "checkout.middleware.safe_methods.keep_session_on_head",
    "django.middleware.locale.LocaleMiddleware",
    "checkout.middleware.unreadable.refuse_unreadable",
    "checkout.middleware.safe_methods.AppendSlash",
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

DATABASES = {"default": env.database("DATABASE_URL")}
DATABASES["default"]["ENGINE"] = "config.database"

# Behind PgBouncer in transaction mode the limits below cannot travel with the connection. Then set
# them on the role (ALTER ROLE shop SET lock_timeout = '3s'; and so on): docs/configuration.md.
DATABASE_BEHIND_PGBOUNCER = env.flag("DATABASE_BEHIND_PGBOUNCER", default=False)

# They make a half-open first attempt let go of what it holds, so that the shopper's second press
# gets through.
DATABASE_LIMITS = {
    "default_transaction_isolation": "read\\ committed",
    "lock_timeout": "3s",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",
    "client_connection_check_interval": "5s",
}
DATABASES["default"]["CONN_MAX_AGE"] = env.whole("DATABASE_CONN_MAX_AGE_SECONDS", 60, at_least=0)
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

SHOP_NAME = env.text("SHOP_NAME", "Shop")
SHOP_CURRENCY = env.text("SHOP_CURRENCY", "EUR")
# Where the shop itself is told of each new paid order; empty: nowhere.
SHOP_ORDERS_EMAIL = env.email("SHOP_ORDERS_EMAIL")
# When a card is charged: when the order is placed, or parcel by parcel when it is sent.
CAPTURE = env.one_of("CAPTURE", "placing", ["placing", "dispatch"])
# Whether customers may cancel an order that is paid and not sent; their money goes back then.
CUSTOMERS_CANCEL_PAID = env.flag("CUSTOMERS_CANCEL_PAID", default=True)
# Whose days and years stand on invoices.
SHOP_TIME_ZONE = time_zone("SHOP_TIME_ZONE", env.text("SHOP_TIME_ZONE", "UTC"))
# Whether customers may withdraw by a form, as EU law asks (2011/83/EU, Article 11a).
WITHDRAWAL_FORM = env.flag("WITHDRAWAL_FORM", default=True)
# Where the shop is, and the country that the first total of a visitor is worked out for.
SHOP_COUNTRY = env.text("SHOP_COUNTRY", "DE")
if not re.fullmatch("[A-Z]{2}", SHOP_COUNTRY):
    refuse("SHOP_COUNTRY", "is a country's two capital letters (ISO 3166-1), such as DE.")
# The shop's region, such as CA, where its country taxes by regions and TAX_BY is origin.
SHOP_REGION = env.text("SHOP_REGION")
# Whether prices are entered and shown with tax.
PRICES_INCLUDE_TAX = env.flag("PRICES_INCLUDE_TAX", default=True)
# Whose tax rates count: those of the place that an order is sent to, or the shop's own.
TAX_BY = env.one_of("TAX_BY", "destination", ["destination", "origin"])

# How long an unsent checkout form stays good. A form that was sent leads to its order for ever.
CHECKOUT_TOKEN_MAX_AGE_SECONDS = env.whole(
    "CHECKOUT_TOKEN_MAX_AGE_SECONDS", 2 * 60 * 60, at_least=60
)

# An order whose payment waits for the customer for so long is cancelled.
UNPAID_ORDER_EXPIRES_SECONDS = env.whole("UNPAID_ORDER_EXPIRES_SECONDS", 24 * 60 * 60, at_least=60)

# --- Invoices -----------------------------------------------------------------------------------

# Who sells, as the law asks an invoice to say it. Set none of them: then there are no invoices.
SELLER = seller(
    {
        "SELLER_NAME": env.text("SELLER_NAME"),
        "SELLER_ADDRESS": env.text("SELLER_ADDRESS"),  # its lines, separated by commas
        "SELLER_TAX_ID": env.text("SELLER_TAX_ID"),
        "SELLER_REGISTER": env.text("SELLER_REGISTER"),
        "SELLER_EMAIL": env.email("SELLER_EMAIL"),
    }
)
# What numbers begin with: INV-2026-000017. A new series begins at 1.
INVOICE_SERIES = series("INVOICE_SERIES", env.text("INVOICE_SERIES", "INV"))
CREDIT_NOTE_SERIES = series("CREDIT_NOTE_SERIES", env.text("CREDIT_NOTE_SERIES", "CN"))
# For so many years after that of its number the law may ask for an invoice; then `prune` deletes
# it. The database itself keeps each for five.
INVOICE_YEARS = env.whole("INVOICE_YEARS", 10, at_least=5, at_most=100)

# --- Personal data ------------------------------------------------------------------------------

# So many years after it was placed, a finished order is erased by `prune`. None: never. Erasing
# cannot be undone, and how long addresses must be kept differs by country, so nothing is erased
# before somebody has decided.
PERSONAL_DATA_YEARS = env.whole("PERSONAL_DATA_YEARS", 0, at_least=0, at_most=100) or None

# --- Limits -------------------------------------------------------------------------------------

# Per session, per network address, in the whole shop; how they are counted is in orders/limits.
# Many customers of one office or mobile network share an address. No customer orders twenty times.
LIMIT_PLACING = rates(
    "LIMIT_PLACING", "session 20/10m, address 120/10m, client 6000/10m, shop 60000/10m"
)
# Too many declines endanger the account at the gateway, and stolen cards are tried by the hundred.
LIMIT_DECLINES = rates("LIMIT_DECLINES", "session 5/1h, address 20/1h, shop 500/1h")
if "shop" in LIMIT_DECLINES and len(LIMIT_DECLINES) == 1:
    refuse(
        "LIMIT_DECLINES",
        "limits the shop alone. Add session or address, such as session 5/1h: too "
        "many declines in the shop hold back those who have had one of their own.",
    )
LIMIT_LOOKUP = rates("LIMIT_LOOKUP", "session 5/10m, address 20/10m, shop 600/10m")
# Withdrawals from a contract, each of which sends a mail to an address that nobody has proved.
LIMIT_WITHDRAWALS = rates("LIMIT_WITHDRAWALS", "session 5/10m, address 20/10m, shop 600/10m")
# Wrong discount codes. A client of the API stands for many customers, and has a share of its own,
# so that one alone cannot use up the whole shop's.
LIMIT_CODES = rates("LIMIT_CODES", "session 10/10m, address 60/10m, client 600/10m, shop 2000/10m")
# All requests to the API, by client, by browser and by address.
LIMIT_API = rates("LIMIT_API", "client 3000/1m, session 300/1m, address 600/1m")

# --- Queue --------------------------------------------------------------------------------------

AWS_REGION = env.text("AWS_REGION", "us-east-1")
AWS_ENDPOINT_URL = env.address("AWS_ENDPOINT_URL")  # Amazon's own if unset
PAYMENTS_QUEUE_NAME = env.text("PAYMENTS_QUEUE_NAME", "payments.fifo")
if not PAYMENTS_QUEUE_NAME.endswith(".fifo"):
    refuse(
        "PAYMENTS_QUEUE_NAME",
        "must end in .fifo: a standard queue keeps no order within one purchase.",
    )

# A received message is hidden from other workers for so long; a worker at work extends it. After a
# whole machine was lost, its messages come again when this is over.
MESSAGE_VISIBILITY_SECONDS = env.whole(
    "MESSAGE_VISIBILITY_SECONDS", 25, at_least=1, at_most=12 * 60 * 60
)

# An order that should be moving and has not for so long is published again.
SWEEP_AFTER_SECONDS = env.seconds("SWEEP_AFTER_SECONDS", 15 * 60)
SWEEP_EVERY_SECONDS = env.seconds("SWEEP_EVERY_SECONDS", 60)

# --- Payments -----------------------------------------------------------------------------------

# Who is offered which of them: all of them to everybody if unset.
PAYMENT_OFFERS = offers("PAYMENT_OFFERS")

# One call to the gateway. Settling an order makes three at most, and has 60 s in all.
GATEWAY_TIMEOUT_SECONDS = env.seconds("GATEWAY_TIMEOUT_SECONDS", 8)

# The shop's address from outside. A bank sends the customer back there after 3-D Secure.
SHOP_URL = env.origin("SHOP_URL")

# A worker has an order's payment to itself for so long; a worker at work renews the lease.
PAYMENT_LEASE_SECONDS = env.seconds("PAYMENT_LEASE_SECONDS", 20)

# The sandbox moves no money: a shop that used it by mistake would give its products away.
SANDBOX_GATEWAY_ALLOWED = env.flag("SANDBOX_GATEWAY_ALLOWED", default=False)

# Tests name a place in the flow here at which the process kills itself; see runtime/faultpoints.
FAULT_POINT = env.text("FAULT_POINT")

# --- E-mail -------------------------------------------------------------------------------------

# If unset, mails are printed instead of sent, which `check --deploy` warns of.
email_url = env.mail_server("EMAIL_URL")
DEFAULT_FROM_EMAIL = env.mailbox("DEFAULT_FROM_EMAIL", sender=SHOP_NAME)

# The limit for each response of the mail server, of which one mail takes about ten.
email_timeout = env.seconds("EMAIL_TIMEOUT_SECONDS", 10, at_most=600)
vars().update(mail_settings(email_url, timeout=email_timeout))

# --- Web ----------------------------------------------------------------------------------------

STATIC_URL = "static/"
STATICFILES_DIRS = static_folders(PAYMENT_GATEWAYS.values())
# If unset, files are served straight from the apps. Set it for `collectstatic`, as in an image.
STATIC_ROOT = env.text("STATIC_ROOT") or None
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
SESSION_ENGINE = "checkout.sessions"
CSRF_FAILURE_VIEW = "checkout.views.checkout.csrf_failure"
# LANGUAGE_CODE is for browsers that ask for neither, and for mails about orders without a language.
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LANGUAGE_CODE = env.one_of("LANGUAGE_CODE", "en", [code for code, _ in LANGUAGES])
LOCALE_PATHS = [BASE_DIR / "checkout" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

CONTENT_SECURITY_POLICY = content_security_policy(
    *(of_gateway.policy_sources for of_gateway in gateway_settings)
)

# --- API ----------------------------------------------------------------------------------------

# How many requests of one process may wait for an order's outcome at once. Each holds one of the
# web server's threads, of which the Procfile starts four; the others serve meanwhile.
API_WAITING_AT_MOST = env.whole("API_WAITING_AT_MOST", 2, at_least=0)

KNOX_TOKEN_MODEL = "checkout.ApiToken"  # noqa: S105 - a model's name
# Knox's own migrations would create a table for the model that ours replaces.
MIGRATION_MODULES = {"knox": None}
REST_KNOX = {
    "AUTH_HEADER_PREFIX": "Bearer",
    "TOKEN_PREFIX": "once_",  # by which scanners for leaked secrets recognise one
    "TOKEN_TTL": None,  # valid until it is withdrawn
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "checkout.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["checkout.api.permissions.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["checkout.api.throttling.ClientThrottle"],
    "DEFAULT_PARSER_CLASSES": ["checkout.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "checkout.api.exception_handler.exception_handler",
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
        "checkout.api.schema.postprocess",
    ],
}

# --- Signing in ---------------------------------------------------------------------------------

# After ten wrong passwords for one name from one address, that pair is locked out for a while.
# Locking either alone would let anybody lock out staff by name, or a whole office by its address.
SIGN_IN_LOCKOUT = env.flag("SIGN_IN_LOCKOUT", default=not DEBUG)
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_ENABLED = SIGN_IN_LOCKOUT
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "checkout.visitor.client_address_or_none"
AXES_LOCKOUT_CALLABLE = "checkout.views.error_pages.locked_out"
AXES_DISABLE_ACCESS_LOG = True  # who signed in when, and from where, is nobody's business
AXES_ENABLE_ADMIN = False

# Staff give a code from an app beside their password; see `manage.py add_staff_device`.
STAFF_SECOND_FACTOR = env.flag("STAFF_SECOND_FACTOR", default=not DEBUG)
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

HTTPS_ONLY = env.flag("HTTPS_ONLY", default=not DEBUG)
SESSION_COOKIE_SECURE = HTTPS_ONLY
CSRF_COOKIE_SECURE = HTTPS_ONLY
SECURE_SSL_REDIRECT = HTTPS_ONLY
# Asked from inside, without TLS and by the address of the process instead of the shop's host name.
PROBES = ["healthz", "readyz", "metrics"]
SECURE_REDIRECT_EXEMPT = [rf"^{probe}$" for probe in PROBES]
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60 if HTTPS_ONLY else 0
# The shop decides for its own host name only, not for others under its domain.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
if env.flag("TRUST_X_FORWARDED_PROTO", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# How many proxies of ours a request comes through, each of which adds to X-Forwarded-For.
TRUSTED_PROXY_COUNT = env.whole("TRUSTED_PROXY_COUNT", 0, at_least=0, at_most=20)

# --- Being watched --------------------------------------------------------------------------------

# Whoever sends this as a bearer token may read the web processes' /metrics. If unset, nobody may.
METRICS_TOKEN = env.secret("METRICS_TOKEN")
# All other processes serve /metrics and /healthz at this port. If unset, they do not.
METRICS_PORT = env.whole("METRICS_PORT", 0, at_least=0, at_most=65535) or None
# All processes write their figures into their logs, for a namespace of CloudWatch's of this name.
CLOUDWATCH_NAMESPACE = env.cloudwatch_namespace("CLOUDWATCH_NAMESPACE")

LOG_LEVEL = env.one_of("LOG_LEVEL", "INFO", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
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
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        **{
            name: {"level": level}
            for of_gateway in gateway_settings
            for name, level in of_gateway.log_levels.items()
        },
        "botocore": {"level": "WARNING"},
        # Figures are written whatever LOG_LEVEL is, or alarms would ring.
        "checkout.orders.operations.cloudwatch": {"level": "INFO"},
        "fontTools": {"level": "WARNING"},
        "fpdf": {"level": "ERROR"},  # its warnings tell of letters in customers' names
        "axes": {"level": "CRITICAL"},  # it logs names and addresses
        # Warnings about refused requests would contain URLs, which hold references of orders.
        "django.request": {"level": "ERROR"},
    },
}

# Variables that no setting reads, each with the setting that was probably meant.
MISTYPED_SETTINGS = env.mistyped()
