//! Scopes, roles and groups: names with a description, and groups with the roles that they give. A name
//! that is written where it does not exist yet is made by that act, as scopes of clients are.

use crate::domain::page::{Page, PageRequest};
use crate::domain::patch::Field;
use crate::domain::refusal::FieldError;
use crate::domain::scope::{BUILT_IN, is_built_in};
use crate::domain::{
    Context, Decision, Failed, Fault, Named, NamedKind, Provider, ProviderId, Refusal, Role, ScopeSet, UnixTime, User,
};
use crate::engine::Engine;
use crate::engine::manage::fields::{Checks, label};
use crate::engine::manage::user_fields::names_of;
use crate::engine::manage::{
    Actor, Expected, conflict, expected_now, if_current, require_version, stale, until_written,
};
use crate::store::{ChangedTable, Tx, named};

/// A name to be made, or a change to one.
#[derive(Clone, Debug, Default)]
pub struct NamedDraft {
    /// At creation only.
    pub name: Field<String>,
    pub description: Field<String>,
    /// Of groups only.
    pub roles: Field<Vec<String>>,
    /// What could not even be read; told together with what is wrong otherwise.
    pub slips: Vec<FieldError>,
}

/// The same of what gives no roles.
#[derive(Clone, Debug, Default)]
pub struct PlainDraft {
    pub name: Field<String>,
    pub description: Field<String>,
    pub slips: Vec<FieldError>,
}

impl From<PlainDraft> for NamedDraft {
    fn from(draft: PlainDraft) -> Self {
        let PlainDraft { name, description, slips } = draft;
        Self { name, description, roles: Field::Keep, slips }
    }
}

/// What is said of a sort of name.
struct Words {
    created: &'static str,
    updated: &'static str,
    deleted: &'static str,
    unknown: &'static str,
    exists: &'static str,
    /// Who may look.
    readers: Role,
}

const fn words(kind: NamedKind) -> Words {
    match kind {
        NamedKind::Scope => Words {
            created: "scope.created",
            updated: "scope.updated",
            deleted: "scope.deleted",
            unknown: "There is no such scope.",
            exists: "There is a scope of this name.",
            readers: Role::Member,
        },
        NamedKind::Role => Words {
            created: "role.created",
            updated: "role.updated",
            deleted: "role.deleted",
            unknown: "There is no such role.",
            exists: "There is a role of this name.",
            readers: Role::Admin,
        },
        NamedKind::Group => Words {
            created: "group.created",
            updated: "group.updated",
            deleted: "group.deleted",
            unknown: "There is no such group.",
            exists: "There is a group of this name.",
            readers: Role::Admin,
        },
    }
}

impl Engine {
    pub async fn create_named(
        &self,
        ctx: &Context,
        actor: &Actor,
        kind: NamedKind,
        provider: &str,
        draft: NamedDraft,
    ) -> Result<Named, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let new = new(kind, &provider, draft, ctx.now)?;
        let event = self.event(ctx, actor, Some(&provider.id), words(kind).created, &new.name, &["name"]);
        let (row, now) = (new.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            if !named::insert(tx, kind, &row)? {
                return Ok(Decision::Refuse(conflict(words(kind).exists)));
            }
            named::insert_missing(tx, NamedKind::Role, &row.provider, &row.roles, now)?;
            note_change(tx, kind, &row.provider, now)?;
            Ok(Decision::Allow(()))
        })
        .await?;
        self.forget_members(kind);
        Ok(new)
    }

    pub async fn read_named(
        &self,
        ctx: &Context,
        actor: &Actor,
        kind: NamedKind,
        provider: &str,
        name: &str,
    ) -> Result<Named, Failed> {
        actor.require(words(kind).readers)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        self.stored_named(ctx, kind, &provider.id, name).await
    }

    /// Ordered by name; what is built in stands first.
    pub async fn list_named(
        &self,
        ctx: &Context,
        actor: &Actor,
        kind: NamedKind,
        provider: &str,
        page: PageRequest,
    ) -> Result<Page<Named>, Failed> {
        actor.require(words(kind).readers)?;
        let provider = self.managed_provider(ctx, actor, provider).await?.id;
        let (mut items, rest) = built_in_page(kind, &provider, &page);
        let Some(rest) = rest else {
            let next = items.last().map(|item: &Named| item.name.clone());
            return Ok(Page { items, next });
        };
        let read = move |conn: &mut _| named::list(conn, kind, &provider, &rest);
        let Page { items: own, next } = self.0.db.read(ctx.deadline, read).await?;
        items.extend(own);
        Ok(Page { items, next })
    }

    /// Applies a draft. Without `expected` it is tried again on what another change left behind.
    pub async fn update_named(
        &self,
        ctx: &Context,
        actor: &Actor,
        (kind, provider, name): (NamedKind, &str, &str),
        draft: NamedDraft,
        expected: Expected,
    ) -> Result<Named, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        until_written(ctx, async || {
            let current = self.stored_named(ctx, kind, &provider.id, name).await?;
            require_version(&expected, current.version)?;
            refuse_built_in(&current)?;
            let (mut changed, fields) = changed(draft.clone(), &current)?;
            if fields.is_empty() {
                return Ok(Some(current));
            }
            let event = self.event(ctx, actor, Some(&provider.id), words(kind).updated, name, &fields);
            let (row, version, now) = (changed.clone(), current.version, ctx.now);
            let written = self
                .commit(ctx, event, move |tx| {
                    if !named::update(tx, kind, &row, version, now)? {
                        return Ok(Decision::Refuse(stale()));
                    }
                    named::insert_missing(tx, NamedKind::Role, &row.provider, &row.roles, now)?;
                    note_change(tx, kind, &row.provider, now)?;
                    Ok(Decision::Allow(()))
                })
                .await;
            self.forget_members(kind);
            changed.version = version + 1;
            Ok(if_current(written)?.map(|()| changed))
        })
        .await
    }

    /// Ends a name. A scope that a live client has stays; a group or a role is taken off whom it was given
    /// to, and nothing else of theirs changes.
    pub async fn delete_named(
        &self,
        ctx: &Context,
        actor: &Actor,
        (kind, provider, name): (NamedKind, &str, &str),
        expected: Expected,
    ) -> Result<(), Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let current = self.stored_named(ctx, kind, &provider.id, name).await?;
        refuse_built_in(&current)?;
        let expected = expected_now(&expected, current.version)?;
        let event = self.event(ctx, actor, Some(&provider.id), words(kind).deleted, name, &[]);
        let (row, now) = (current, ctx.now);
        self.commit(ctx, event, move |tx| {
            // Whoever writes it into a client meanwhile comes before this, or finds it gone.
            named::lock(tx, kind, &row.provider, &row.name)?;
            if kind == NamedKind::Scope && named::is_scope_in_use(tx, &row.provider, &row.name)? {
                return Ok(Decision::Refuse(conflict("A live client has this scope: take it off first.")));
            }
            if named::is_too_wide(tx, kind, &row.provider, &row.name)? {
                return Ok(Decision::Refuse(conflict("More than 10000 have it: take it off some of them first.")));
            }
            if !named::delete(tx, kind, &row.provider, &row.name, expected)? {
                return Ok(Decision::Refuse(stale()));
            }
            named::take_off(tx, kind, &row.provider, &row.name, now)?;
            note_change(tx, kind, &row.provider, now)?;
            Ok(Decision::Allow(()))
        })
        .await?;
        self.forget_members(kind);
        Ok(())
    }

    async fn stored_named(
        &self,
        ctx: &Context,
        kind: NamedKind,
        provider: &ProviderId,
        name: &str,
    ) -> Result<Named, Failed> {
        let unknown = || Failed::from(Refusal::unknown(words(kind).unknown));
        if kind == NamedKind::Scope && BUILT_IN.contains(&name) {
            return Ok(built_in(provider, name));
        }
        let (owner, wanted) = (provider.clone(), name.to_owned());
        let found = self.0.db.read(ctx.deadline, move |conn| named::get(conn, kind, &owner, &wanted)).await?;
        found.ok_or_else(unknown)
    }

    /// After a commit: what people are given by their groups may be another now.
    fn forget_members(&self, kind: NamedKind) {
        if kind != NamedKind::Scope {
            self.0.caches.users.clear();
        }
    }
}

/// Makes the groups and roles that an account names and that do not exist yet.
pub(in crate::engine::manage) fn make_names(tx: &mut Tx<'_>, user: &User, now: UnixTime) -> Result<(), Fault> {
    named::insert_missing(tx, NamedKind::Group, &user.provider, &user.groups, now)?;
    named::insert_missing(tx, NamedKind::Role, &user.provider, &user.roles, now)
}

fn note_change(tx: &mut Tx<'_>, kind: NamedKind, provider: &ProviderId, now: UnixTime) -> Result<(), Fault> {
    if kind == NamedKind::Scope { Ok(()) } else { tx.changed(ChangedTable::Groups, provider.as_str(), now) }
}

fn new(kind: NamedKind, provider: &Provider, draft: NamedDraft, now: UnixTime) -> Result<Named, Refusal> {
    let NamedDraft { name, description, roles, slips } = draft;
    let mut checks = Checks::after(slips);
    let judged = match name {
        Field::Set(name) if kind == NamedKind::Scope => scope_name(name),
        Field::Set(name) => label(name),
        Field::Keep | Field::Reset => Err("is required".to_owned()),
    };
    let name = judged.unwrap_or_else(|detail| {
        checks.refuse("name", detail);
        String::new()
    });
    let description = checks.optional("description", description, &None, label);
    let roles = checks.apply("roles", roles, (&Vec::new(), Vec::new()), names_of);
    checks.finish()?;
    Ok(Named { provider: provider.id.clone(), name, description, roles, version: 1, created_at: now.seconds() })
}

/// One token that is not ours already.
fn scope_name(name: String) -> Result<String, String> {
    let is_one = ScopeSet::of([name.as_str()]).is_ok() && !name.is_empty();
    if !is_one {
        return Err("must be 1 to 256 printable ASCII characters without space, \" and \\".to_owned());
    }
    if is_built_in(&name) { Err("is built in".to_owned()) } else { Ok(name) }
}

fn changed(draft: NamedDraft, current: &Named) -> Result<(Named, Vec<&'static str>), Refusal> {
    let NamedDraft { name, description, roles, slips } = draft;
    let mut checks = Checks::after(slips);
    let is_same = match &name {
        Field::Keep => true,
        Field::Reset => false,
        Field::Set(name) => *name == current.name,
    };
    if !is_same {
        checks.refuse("name", "cannot be changed");
    }
    let changed = Named {
        description: checks.optional("description", description, &current.description, label),
        roles: checks.apply("roles", roles, (&current.roles, Vec::new()), names_of),
        ..current.clone()
    };
    Ok((changed, checks.finish()?))
}

fn refuse_built_in(current: &Named) -> Result<(), Refusal> {
    if current.is_built_in() { Err(conflict("It is built in: nothing about it can be changed.")) } else { Ok(()) }
}

fn built_in(provider: &ProviderId, name: &str) -> Named {
    let provider = provider.clone();
    Named { provider, name: name.to_owned(), description: None, roles: Vec::new(), version: 0, created_at: 0 }
}

/// What of the page is built in, and the page of rows that follows it; `None`: the page is full.
fn built_in_page(kind: NamedKind, provider: &ProviderId, page: &PageRequest) -> (Vec<Named>, Option<PageRequest>) {
    let mut names: Vec<&str> = if kind == NamedKind::Scope { BUILT_IN.to_vec() } else { Vec::new() };
    names.sort_unstable();
    let begins = match page.after.as_deref() {
        None => 0,
        Some(after) => match names.iter().position(|name| *name == after) {
            Some(at) => at + 1,
            None => return (Vec::new(), Some(page.clone())),
        },
    };
    let limit = page.limit as usize;
    let items: Vec<Named> = names.iter().skip(begins).take(limit).map(|name| built_in(provider, name)).collect();
    let left = limit - items.len();
    let rest = u32::try_from(left).ok().filter(|left| *left > 0).map(PageRequest::first);
    (items, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_through_what_is_built_in_first() {
        let page = |limit, after: Option<&str>| PageRequest { limit, after: after.map(str::to_owned) };
        let of = |page: &PageRequest| {
            let (items, rest) = built_in_page(NamedKind::Scope, &"p".into(), page);
            (items.into_iter().map(|item| item.name).collect::<Vec<_>>(), rest.map(|rest| (rest.limit, rest.after)))
        };
        assert_eq!(of(&page(2, None)), (vec!["all:read".to_owned(), "all:write".to_owned()], None));
        assert_eq!(of(&page(2, Some("profile"))), (vec!["usage:write".to_owned()], Some((1, None))));
        assert_eq!(of(&page(2, Some("usage:write"))), (Vec::new(), Some((2, None))));
        assert_eq!(of(&page(2, Some("own"))), (Vec::new(), Some((2, Some("own".to_owned())))));
        let (items, rest) = built_in_page(NamedKind::Role, &"p".into(), &page(2, None));
        assert_eq!((items.len(), rest), (0, Some(page(2, None))));
    }

    #[test]
    fn a_scope_is_one_token_that_is_not_built_in() {
        for bad in ["", "a b", "ä", "openid", "grantd:x", "usage:write"] {
            assert!(scope_name(bad.to_owned()).is_err(), "{bad}");
        }
        assert_eq!(scope_name("https://api.example/read".to_owned()).as_deref(), Ok("https://api.example/read"));
    }
}
