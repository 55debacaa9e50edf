"""Sign-in: an attempt that becomes a session once the first factor is proved.

Owns `identity_sign_ins`. The status is computed from what is stored (`rules`). Routes in `frontend_api/sign_ins.py`.
Factors: `password`, `email_code`, and `reset_password_email_code`, which leads to a new password.

Whether an identifier has an account is not told (`IdentitySettings.hide_accounts`, on by default): an unknown one gets
the same factors, the same work for its password, the same pauses after failures, and codes that are never right.
"""
