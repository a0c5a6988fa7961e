//! The pages as templates: what each shows. Everything from outside goes in as text and is escaped by
//! the template engine.

use askama::Template;

use crate::domain::authorize::{Account, Brand};
use crate::web::account::view::SessionView;
use crate::web::assets;
use crate::web::brand::Color;
use crate::web::locale::{Language, Texts};

/// What all pages have in common.
pub struct Ui {
    texts: &'static Texts,
    /// Path that every address of ours begins with.
    pub base: String,
    /// The provider's; empty where none is known.
    pub name: String,
    pub logo: Option<String>,
    /// `rrggbb`, if the provider has a colour of its own.
    pub color: Option<String>,
}

impl Ui {
    pub fn of(brand: Option<&Brand>, base: &str, language: Language) -> Self {
        let logo = brand.and_then(|brand| brand.logo_uri.clone());
        let color = brand.and_then(|brand| Color::parse(brand.color.as_deref()?));
        Self {
            texts: language.texts(),
            base: base.to_owned(),
            name: brand.map(|brand| brand.name.trim().to_owned()).unwrap_or_default(),
            // Nothing is loaded from elsewhere.
            logo: logo.filter(|uri| uri.starts_with("data:image/")),
            color: color.map(Color::hex),
        }
    }

    pub fn lang(&self) -> &'static str {
        self.texts.language.tag()
    }

    pub fn t(&self, key: &str) -> String {
        self.texts.get(key, &[])
    }

    pub fn with(&self, key: &str, name: &'static str, value: &str) -> String {
        self.texts.get(key, &[(name, value)])
    }

    pub fn with_two(&self, key: &str, name: &'static str, value: &str, second: &'static str, other: &str) -> String {
        self.texts.get(key, &[(name, value), (second, other)])
    }

    /// Changes with the stylesheet.
    pub fn style(&self) -> &'static str {
        assets::STYLE.version()
    }

    /// Stands where there is no logo.
    pub fn initial(&self) -> String {
        self.name.chars().next().map(|first| first.to_uppercase().collect()).unwrap_or_default()
    }
}

#[derive(Template)]
#[template(path = "login.html")]
pub struct LoginView<'a> {
    pub ui: Ui,
    pub client: Option<&'a str>,
    pub flow: Option<&'a str>,
    pub token: String,
    pub username: &'a str,
    /// Key of what is wrong.
    pub error: Option<&'static str>,
    /// Whether it is about what was typed.
    pub is_wrong: bool,
}

#[derive(Template)]
#[template(path = "consent.html")]
pub struct ConsentView<'a> {
    pub ui: Ui,
    pub client: &'a str,
    pub username: &'a str,
    /// One sentence a scope.
    pub scopes: Vec<String>,
    pub flow: &'a str,
    pub token: String,
}

#[derive(Template)]
#[template(path = "logout_confirm.html")]
pub struct LogoutView<'a> {
    pub ui: Ui,
    pub client: Option<&'a str>,
    pub username: &'a str,
    pub flow: &'a str,
    pub token: String,
}

#[derive(Template)]
#[template(path = "signed_out.html")]
pub struct SignedOutView {
    pub ui: Ui,
}

#[derive(Template)]
#[template(path = "form_post.html")]
pub struct FormPostView<'a> {
    pub ui: Ui,
    pub to: &'a str,
    pub fields: &'a [(&'static str, String)],
}

#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorView<'a> {
    pub ui: Ui,
    /// Key of the sentence.
    pub sentence: &'static str,
    /// For developers; fixed words, never input.
    pub hint: &'a str,
    pub request_id: &'a str,
}

#[derive(Template)]
#[template(path = "account.html")]
pub struct AccountView<'a> {
    pub ui: Ui,
    pub account: &'a Account,
    /// As typed, where it was refused.
    pub name: &'a str,
    pub sessions: Vec<SessionView<'a>>,
    pub tokens: AccountTokens,
    /// Keys of what was done or is wrong.
    pub done: Option<&'static str>,
    pub profile_error: Option<&'static str>,
    pub current_error: Option<&'static str>,
    pub new_error: Option<&'static str>,
}

/// One a form.
pub struct AccountTokens {
    pub profile: String,
    pub password: String,
    pub session: String,
    pub sessions: String,
}
