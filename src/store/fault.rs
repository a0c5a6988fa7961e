//! What the errors of Diesel mean to the store. The kind survives inside [`Fault::Store`], so that
//! the writer can tell a broken constraint, which concerns one job, from a failure that concerns
//! the whole batch.

use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};

use crate::domain::Fault;

/// A database that is away answers 503 and not 500: the same try may succeed in a second.
impl From<DieselError> for Fault {
    fn from(error: DieselError) -> Self {
        if let DieselError::DatabaseError(Kind::ClosedConnection | Kind::UnableToSendCommand, about) = &error {
            log::warn!("the connection to the database is lost: {}", about.message());
            return Self::busy("the connection to the database is lost");
        }
        // Another process holds SQLite's write lock for longer than we wait.
        if let DieselError::DatabaseError(Kind::Unknown, about) = &error
            && about.message().contains("database is locked")
        {
            return Self::busy("another process writes to the database");
        }
        Self::store(error)
    }
}

/// Whether the fault is a broken constraint: the job asked for what the schema forbids, and the
/// database is well.
pub fn is_constraint(fault: &Fault) -> bool {
    matches!(
        kind(fault),
        Some(
            Kind::UniqueViolation
                | Kind::ForeignKeyViolation
                | Kind::NotNullViolation
                | Kind::CheckViolation
                | Kind::RestrictViolation
                | Kind::ExclusionViolation
        )
    )
}

/// Whether PostgreSQL undid the transaction only because of others beside it (40001, 40P01), so
/// that the same job may succeed now. Diesel has no kind for 40P01; its message is known in English
/// only, and a server that speaks otherwise answers a fault instead of another try.
pub(in crate::store) fn is_collision(fault: &Fault) -> bool {
    match kind(fault) {
        Some(Kind::SerializationFailure) => true,
        Some(Kind::Unknown) => matches!(fault, Fault::Store(cause) if cause.to_string().contains("deadlock detected")),
        _ => false,
    }
}

fn kind(fault: &Fault) -> Option<&Kind> {
    let Fault::Store(cause) = fault else { return None };
    match cause.downcast_ref::<DieselError>() {
        Some(DieselError::DatabaseError(kind, _)) => Some(kind),
        _ => None,
    }
}

/// A row that holds what this release does not know: written by a newer one, or by hand.
pub(in crate::store) fn unreadable(table: &'static str, column: &'static str) -> Fault {
    Fault::store(format!("a row of {table} cannot be read: its {column} is none that this release knows"))
}
