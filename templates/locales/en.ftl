# Words on several pages
sign-in = Sign in
sign-out = Sign out
cancel = Cancel
username = Username or email
password = Password

# Login
login-title = Sign in
login-for = to continue to { $client }
login-account = to your account
login-wrong = The username or password is not right.
login-missing = Enter your username and your password.
login-slowed = Too many attempts. Wait a moment, then try again.
login-stale = The form had expired. Please sign in again.

# Consent
consent-title = Allow access?
consent-asks = { $client } asks for access to your account.
consent-signed-in = You are signed in as { $username }.
consent-list = With your permission it may:
consent-nothing = It learns that you signed in, and nothing else.
consent-allow = Allow
consent-deny = Deny
scope-openid = know who you are, by an identifier of your account
scope-profile = see your username and your name
scope-email = see your email address
scope-groups = see the groups you belong to
scope-roles = see the roles you have
scope-offline-access = keep this access while you are not signed in
scope-other = use: { $scope }

# Logout
logout-title = Sign out?
logout-asks = { $client } asks to sign you out.
logout-username = You are signed in as { $username }.
logout-stay = Stay signed in
signed-out-title = You are signed out
signed-out-text = It is safe to close this page.
signed-out-again = Sign in again

# The page that hands an answer to the application
form-post-title = Back to the application
form-post-text = If nothing happens by itself, press the button.
form-post-continue = Continue

# Account
account-title = Your account
account-username = Username
account-email = Email
account-email-none = none
account-email-verified = confirmed
account-email-unverified = not confirmed
account-profile = Profile
account-name = Name
account-save = Save
account-name-wrong = This name cannot be used: at most 255 characters, no control characters.
account-profile-done = Your profile is saved.
account-password = Password
account-password-current = Current password
account-password-new = New password
account-password-hint = At least 8 characters. Every other session ends.
account-password-change = Change password
account-password-wrong = The current password is not right.
account-password-bad = This password cannot be used: it is too short, too common, or like your name.
account-password-missing = Enter both passwords.
account-password-slowed = Too many attempts. Wait a moment, then try again.
account-password-done = Your password is changed. Every other session has ended.
account-no-password = Your account has no password: you sign in by another service.
account-sessions = Where you are signed in
account-session-this = This browser
account-session-since = Signed in
account-session-seen = last used
account-session-unknown = Unknown browser
account-session-end = End session
account-session-end-of = End session: { $browser }, { $address }
account-session-done = The session has ended.
account-end-all = Sign out everywhere
account-end-all-text = Ends every session, this one too.

# Errors: one sentence each
error-title = This did not work
error-request = The request cannot be understood. Go back to the application and begin again.
error-client = The application that sent you here is not known here, or its request is not as agreed.
error-flow = This sign-in has expired or began in another browser. Go back to the application and begin again.
error-form = This form is no longer good. Go back and try again.
error-forbidden = You are not allowed to do this.
error-sign-in-first = Sign in first.
error-too-many = Too many attempts. Wait a moment, then try again.
error-not-found = There is nothing at this address.
error-conflict = Something changed in the meantime. Go back and try again.
error-method = This address cannot be used this way.
error-too-large = What was sent is too large.
error-too-slow = What was sent took too long to arrive.
error-busy = The service is busy. Try again in a moment.
error-fault = Something went wrong on our side. Try again later.
error-detail = For the people who run the application:
error-request-id = Request
