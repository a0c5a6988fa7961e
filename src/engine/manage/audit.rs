//! Reading the audit trail: role admin. A key that is bound to a provider sees what happened there;
//! what concerns the installation needs one that is bound to none.

use tokio::time::timeout_at;

use crate::domain::event::{EventFilter, RecordedEvent};
use crate::domain::id::is_uuid_shaped;
use crate::domain::page::{Page, PageRequest};
use crate::domain::{Context, Failed, Fault, Owner, Refusal, Role};
use crate::engine::Engine;
use crate::engine::manage::Actor;
use crate::store::events;

impl Engine {
    /// What this actor may ask for of what it asks. `provider`: slug or id.
    pub async fn event_filter(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: Option<&str>,
        filter: EventFilter,
    ) -> Result<EventFilter, Failed> {
        actor.require(Role::Admin)?;
        let provider = match provider {
            Some(named) => Some(self.managed_provider(ctx, actor, named).await?.id),
            None => actor.bound_to().cloned(),
        };
        Ok(EventFilter { provider, ..filter })
    }

    /// The newest first. The filter is one that [`Engine::event_filter`] gave this actor; `owner` is the
    /// actor's.
    pub async fn list_events(
        &self,
        ctx: &Context,
        owner: &Owner,
        filter: EventFilter,
        page: PageRequest,
    ) -> Result<Page<RecordedEvent>, Failed> {
        if filter.may_take_long() {
            return self.export_events(ctx, owner, filter, page).await;
        }
        let read = move |conn: &mut _| events::list(conn, &filter, &page);
        Ok(self.0.db.read(ctx.deadline, read).await?)
    }

    /// The same, for one who reads page after page: on the connection for what may take long, so that requests
    /// keep theirs.
    pub async fn export_events(
        &self,
        ctx: &Context,
        owner: &Owner,
        filter: EventFilter,
        page: PageRequest,
    ) -> Result<Page<RecordedEvent>, Failed> {
        let asked = timeout_at(ctx.deadline.into(), self.0.long_reads.lane(owner)).await;
        let _lane = match asked {
            Ok(Ok(lane)) => lane,
            Ok(Err(_)) | Err(_) => return Err(Fault::busy("other long reads are under way").into()),
        };
        let read = move |conn: &mut _| events::list(conn, &filter, &page);
        Ok(self.0.db.read_long(ctx.deadline, read).await?)
    }

    pub async fn read_event(&self, ctx: &Context, actor: &Actor, id: &str) -> Result<RecordedEvent, Failed> {
        actor.require(Role::Admin)?;
        let unknown = || Refusal::unknown("There is no such event.");
        if !is_uuid_shaped(id) {
            return Err(unknown().into());
        }
        let wanted = id.to_owned();
        let found = self.0.db.read(ctx.deadline, move |conn| events::get(conn, &wanted)).await?;
        let visible = found.filter(|event| match actor.bound_to() {
            None => true,
            Some(bound) => event.provider.as_ref() == Some(bound),
        });
        visible.ok_or_else(|| unknown().into())
    }
}
