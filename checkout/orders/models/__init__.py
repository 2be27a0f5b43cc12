"""The tables of orders. Other modules import them from here, whichever file they stand in."""

from checkout.orders.models.attention import AttentionReason as AttentionReason
from checkout.orders.models.dispatch import GoodsReturn as GoodsReturn
from checkout.orders.models.dispatch import GoodsReturnLine as GoodsReturnLine
from checkout.orders.models.dispatch import Shipment as Shipment
from checkout.orders.models.dispatch import ShipmentLine as ShipmentLine
from checkout.orders.models.limits import LimitCount as LimitCount
from checkout.orders.models.lines import CodeUse as CodeUse
from checkout.orders.models.lines import OrderLine as OrderLine
from checkout.orders.models.mail import AccountMail as AccountMail
from checkout.orders.models.mail import Mail as Mail
from checkout.orders.models.operations import Installation as Installation
from checkout.orders.models.operations import PaymentsPause as PaymentsPause
from checkout.orders.models.operations import ProcessAlive as ProcessAlive
from checkout.orders.models.operations import QueueSeen as QueueSeen
from checkout.orders.models.operations import new_installation_id as new_installation_id
from checkout.orders.models.order import CHECKOUT_UNIQUE as CHECKOUT_UNIQUE
from checkout.orders.models.order import Order as Order
from checkout.orders.models.order import OrderEvent as OrderEvent
from checkout.orders.models.order import OutboxMessage as OutboxMessage
from checkout.orders.models.order import new_reference as new_reference
from checkout.orders.models.webhooks import WebhookDelivery as WebhookDelivery
from checkout.orders.models.webhooks import WebhookEndpoint as WebhookEndpoint
from checkout.orders.models.webhooks import WebhookKind as WebhookKind
from checkout.orders.models.webhooks import new_secret as new_secret
from checkout.orders.models.webhooks import open_deliveries as open_deliveries
from checkout.orders.models.withdrawals import Withdrawal as Withdrawal
