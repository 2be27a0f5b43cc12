"""Name, password and code on one page, for staff with a second factor."""

from typing import Any

from django.contrib.auth.models import User
from django_otp import devices_for_user
from django_otp.admin import OTPAdminAuthenticationForm, OTPAdminSite


class StaffSignInForm(OTPAdminAuthenticationForm):  # type: ignore[misc] # has no types
    def _chosen_device(self, user: User) -> Any:
        """Staff with only one device need not choose it and type the password a second time."""
        chosen = super()._chosen_device(user)
        devices = list(devices_for_user(user, for_verify=True))
        return chosen or (devices[0] if len(devices) == 1 else None)


class SecondFactorSite(OTPAdminSite):  # type: ignore[misc] # has no types
    login_form = StaffSignInForm
