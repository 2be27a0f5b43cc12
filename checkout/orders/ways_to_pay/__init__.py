"""What pages, forms and webhooks know of the payment gateways, without loading one."""
