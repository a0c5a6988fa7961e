//! Paging of lists: a limit and the place to go on from.

/// A page of a list that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// 1 to [`PageRequest::MAX`].
    pub limit: u32,
    /// The key of the last item of the page before; lists are ordered by it.
    pub after: Option<String>,
}

impl PageRequest {
    pub const DEFAULT: u32 = 50;
    pub const MAX: u32 = 500;

    pub fn first(limit: u32) -> Self {
        Self { limit, after: None }
    }
}

/// A page of a list, and the key to ask for the next one with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Cuts a list that was read with one row more than the limit.
    pub fn cut(mut rows: Vec<T>, request: &PageRequest, key: impl Fn(&T) -> String) -> Self {
        let limit = request.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(key) } else { None };
        Self { items: rows, next }
    }

    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(convert).collect(), next: self.next }
    }
}

/// A page of a list that can be filtered and ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest<F> {
    /// 1 to [`PageRequest::MAX`].
    pub limit: u32,
    /// By what it is ordered: the name of a field on the wire.
    pub sort: &'static str,
    pub descending: bool,
    pub after: Option<Place>,
    pub filter: F,
}

/// Where a page of such a list ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What the last item is ordered by, as text; empty where that is its id.
    pub key: String,
    /// Decides between items of the same key.
    pub id: String,
}

/// A page of such a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    pub items: Vec<T>,
    pub next: Option<Place>,
}

impl<T> Found<T> {
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Found<U> {
        Found { items: self.items.into_iter().map(convert).collect(), next: self.next }
    }
}

/// What a list of providers is narrowed by. `None`: not at all, in all of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderFilter {
    pub enabled: Option<bool>,
    /// The slug begins with it.
    pub slug_prefix: Option<String>,
}

/// What a list of clients is narrowed by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFilter {
    pub enabled: Option<bool>,
    pub grant_type: Option<String>,
    /// One scope token.
    pub scope: Option<String>,
    /// The name begins with it.
    pub name_prefix: Option<String>,
}

/// What a list of accounts is narrowed by. Names and emails in any spelling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    pub enabled: Option<bool>,
    pub locked: Option<bool>,
    pub username: Option<String>,
    pub email: Option<String>,
    pub group: Option<String>,
    pub role: Option<String>,
    /// The username begins with it.
    pub name_prefix: Option<String>,
}

/// What a list of API keys is narrowed by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeyFilter {
    pub role: Option<String>,
    /// Id or slug of the provider that it is bound to.
    pub provider: Option<String>,
}

/// What a list of trusted issuers is narrowed by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedIssuerFilter {
    pub enabled: Option<bool>,
    pub issuer: Option<String>,
}

/// What a list of sessions or grants is narrowed by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldFilter {
    /// Id of the account.
    pub user: Option<String>,
    /// `client_id`; of a session, one that takes part in it.
    pub client: Option<String>,
}

/// What a list of domains is narrowed by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainFilter {
    pub verified: Option<bool>,
    pub domain: Option<String>,
}
