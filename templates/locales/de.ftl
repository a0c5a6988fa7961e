# Wörter auf mehreren Seiten
sign-in = Anmelden
sign-out = Abmelden
cancel = Abbrechen
username = Benutzername oder E-Mail
password = Passwort

# Anmeldung
login-title = Anmelden
login-for = um fortzufahren zu { $client }
login-account = bei Ihrem Konto
login-wrong = Benutzername oder Passwort ist nicht richtig.
login-missing = Geben Sie Benutzername und Passwort ein.
login-slowed = Zu viele Versuche. Warten Sie einen Moment und versuchen Sie es dann erneut.
login-stale = Das Formular war abgelaufen. Bitte melden Sie sich noch einmal an.

# Zustimmung
consent-title = Zugriff erlauben?
consent-asks = { $client } bittet um Zugriff auf Ihr Konto.
consent-signed-in = Sie sind angemeldet als { $username }.
consent-list = Mit Ihrer Erlaubnis darf die Anwendung:
consent-nothing = Sie erfährt, dass Sie sich angemeldet haben, und sonst nichts.
consent-allow = Erlauben
consent-deny = Ablehnen
scope-openid = wissen, wer Sie sind, anhand einer Kennung Ihres Kontos
scope-profile = Ihren Benutzernamen und Ihren Namen sehen
scope-email = Ihre E-Mail-Adresse sehen
scope-groups = die Gruppen sehen, zu denen Sie gehören
scope-roles = die Rollen sehen, die Sie haben
scope-offline-access = den Zugriff behalten, während Sie nicht angemeldet sind
scope-other = verwenden: { $scope }

# Abmeldung
logout-title = Abmelden?
logout-asks = { $client } möchte Sie abmelden.
logout-username = Sie sind angemeldet als { $username }.
logout-stay = Angemeldet bleiben
signed-out-title = Sie sind abgemeldet
signed-out-text = Sie können diese Seite schließen.
signed-out-again = Wieder anmelden

# Die Seite, die der Anwendung eine Antwort übergibt
form-post-title = Zurück zur Anwendung
form-post-text = Falls nichts von selbst geschieht, drücken Sie die Schaltfläche.
form-post-continue = Weiter

# Konto
account-title = Ihr Konto
account-username = Benutzername
account-email = E-Mail
account-email-none = keine
account-email-verified = bestätigt
account-email-unverified = nicht bestätigt
account-profile = Profil
account-name = Name
account-save = Speichern
account-name-wrong = Dieser Name kann nicht verwendet werden: höchstens 255 Zeichen, keine Steuerzeichen.
account-profile-done = Ihr Profil ist gespeichert.
account-password = Passwort
account-password-current = Bisheriges Passwort
account-password-new = Neues Passwort
account-password-hint = Mindestens 8 Zeichen. Alle anderen Sitzungen enden.
account-password-change = Passwort ändern
account-password-wrong = Das bisherige Passwort ist nicht richtig.
account-password-bad = Dieses Passwort kann nicht verwendet werden: Es ist zu kurz, zu verbreitet oder Ihrem Namen zu ähnlich.
account-password-missing = Geben Sie beide Passwörter ein.
account-password-slowed = Zu viele Versuche. Warten Sie einen Moment und versuchen Sie es dann erneut.
account-password-done = Ihr Passwort ist geändert. Alle anderen Sitzungen sind beendet.
account-no-password = Ihr Konto hat kein Passwort: Sie melden sich über einen anderen Dienst an.
account-sessions = Wo Sie angemeldet sind
account-session-this = Dieser Browser
account-session-since = Angemeldet
account-session-seen = zuletzt benutzt
account-session-unknown = Unbekannter Browser
account-session-end = Sitzung beenden
account-session-end-of = Sitzung beenden: { $browser }, { $address }
account-session-done = Die Sitzung ist beendet.
account-end-all = Überall abmelden
account-end-all-text = Beendet alle Sitzungen, auch diese.

# Fehler: je ein Satz
error-title = Das hat nicht geklappt
error-request = Die Anfrage ist nicht zu verstehen. Gehen Sie zurück zur Anwendung und beginnen Sie von vorn.
error-client = Die Anwendung, von der Sie kommen, ist hier nicht bekannt, oder ihre Anfrage ist nicht wie vereinbart.
error-flow = Diese Anmeldung ist abgelaufen oder begann in einem anderen Browser. Gehen Sie zurück zur Anwendung und beginnen Sie von vorn.
error-form = Dieses Formular gilt nicht mehr. Gehen Sie zurück und versuchen Sie es erneut.
error-forbidden = Das dürfen Sie nicht.
error-sign-in-first = Melden Sie sich zuerst an.
error-too-many = Zu viele Versuche. Warten Sie einen Moment und versuchen Sie es dann erneut.
error-not-found = Unter dieser Adresse gibt es nichts.
error-conflict = Inzwischen hat sich etwas geändert. Gehen Sie zurück und versuchen Sie es erneut.
error-method = Diese Adresse kann so nicht benutzt werden.
error-too-large = Was gesendet wurde, ist zu groß.
error-too-slow = Was gesendet wurde, kam zu langsam an.
error-busy = Der Dienst ist ausgelastet. Versuchen Sie es gleich noch einmal.
error-fault = Bei uns ist etwas schiefgegangen. Versuchen Sie es später noch einmal.
error-detail = Für die Betreiber der Anwendung:
error-request-id = Anfrage
