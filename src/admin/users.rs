//! `/providers/{provider}/users`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::admin::fields::{New, Nothing};
use crate::admin::input::Fields;
use crate::admin::list::{Kind, ListSpec};
use crate::admin::problem::Problem;
use crate::admin::user_wire::{GrantOut, PasswordFields, SessionOut, UserFields, UserOut};
use crate::admin::wire::value;
use crate::admin::{call, created, describe, list as listing, shown, version};
use crate::domain::page::UserFilter;
use crate::edge::OperationDoc;
use crate::edge::describe::{JSON, PROBLEM};
use crate::engine::Engine;

pub const LIST: ListSpec = ListSpec {
    filters: &[
        ("enabled", Kind::Flag, "Only users that are enabled, or that are not."),
        ("locked", Kind::Flag, "Only users that are locked, or that are not."),
        ("username", Kind::Text, "The one user of this name, in any spelling."),
        ("email", Kind::Text, "The one user of this address, in any spelling."),
        ("group", Kind::Text, "Only users who are in this group."),
        ("role", Kind::Text, "Only users who have this role themselves, not by a group."),
        ("q", Kind::Text, "Only users whose name begins so, in any spelling."),
    ],
    sorts: &["created_at", "username"],
    id: Kind::Id,
};

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let request = listing::asked(received, &LIST, |filters| {
            Ok(UserFilter {
                enabled: filters.flag("enabled")?,
                locked: filters.flag("locked")?,
                username: filters.text("username")?,
                email: filters.text("email")?,
                group: filters.text("group")?,
                role: filters.text("role")?,
                name_prefix: filters.text("q")?,
            })
        })?;
        let read = async |request| engine.find_users(&received.ctx, actor, received.path("provider"), request).await;
        listing::found(received, request, read, |user| value(UserOut::from(user))).await
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let mut fields = Fields::of(received, false)?;
        let draft = UserFields::draft(&mut fields);
        let made = engine.create_user(&received.ctx, actor, received.path("provider"), draft).await?;
        let (id, version) = (made.id.clone(), made.version);
        Ok(created(received, id.as_str(), Some(version), &UserOut::from(made)))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("user_id"));
        let user = engine.read_user(&received.ctx, actor, provider, id).await?;
        Ok(shown(user.version, &UserOut::from(user)))
    })
    .await
}

pub async fn update(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        let mut fields = Fields::of(received, false)?;
        let change = UserFields::draft(&mut fields);
        let (provider, id) = (received.path("provider"), received.path("user_id"));
        let user = engine.update_user(&received.ctx, actor, provider, id, change, expected).await?;
        Ok(shown(user.version, &UserOut::from(user)))
    })
    .await
}

pub async fn delete(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        let (provider, id) = (received.path("provider"), received.path("user_id"));
        engine.delete_user(&received.ctx, actor, provider, id, expected).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

pub fn describe_set_password(doc: &mut OperationDoc<'_>) {
    doc.takes::<New<PasswordFields>>(&[JSON], true);
    doc.says("Ends the user's sessions and refresh tokens.");
    describe::acts(doc);
}

pub async fn set_password(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let mut fields = Fields::of(received, false)?;
        let draft = PasswordFields::draft(&mut fields);
        let (provider, id) = (received.path("provider"), received.path("user_id"));
        engine.set_user_password(&received.ctx, actor, provider, id, draft).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

pub fn describe_lock(doc: &mut OperationDoc<'_>) {
    doc.takes::<Nothing>(&[JSON], false);
    doc.says("Ends the user's sessions and tokens; nobody logs in until it is unlocked.");
    doc.answers::<UserOut>(200, "The locked user.").with_header(200, "ETag", "Its new version.");
    doc.answers_as::<Problem>(409, PROBLEM, "Something stands against it.");
}

pub async fn lock(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("user_id"));
        // Whoever may not lock anybody is told so first.
        engine.read_user(&received.ctx, actor, provider, id).await?;
        Nothing::read(Fields::of(received, true)?)?;
        let user = engine.lock_user(&received.ctx, actor, provider, id).await?;
        Ok(shown(user.version, &UserOut::from(user)))
    })
    .await
}

pub async fn unlock(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("user_id"));
        engine.unlock_user(&received.ctx, actor, provider, id).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

pub async fn sessions(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("user_id"));
        let sessions = engine.list_user_sessions(&received.ctx, actor, provider, id).await?;
        listing::whole(sessions, |session| value(SessionOut::from(session)), listing::IN_PAGES)
    })
    .await
}

pub async fn end_sessions(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("user_id"));
        engine.end_user_sessions(&received.ctx, actor, provider, id).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

pub async fn end_session(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("user_id"));
        engine.end_user_session(&received.ctx, actor, provider, id, received.path("session_id")).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

pub async fn grants(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("user_id"));
        let grants = engine.list_user_grants(&received.ctx, actor, provider, id).await?;
        listing::whole(grants, |grant| value(GrantOut::from(grant)), listing::IN_PAGES)
    })
    .await
}

pub async fn revoke_grant(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("user_id"));
        engine.revoke_user_grant(&received.ctx, actor, provider, id, received.path("grant_id")).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}
