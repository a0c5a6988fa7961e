//! The two ways an engine call can fail, as one type for `?`.

use crate::domain::{Fault, Refusal};

/// An expected refusal or an unexpected fault.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error(transparent)]
    Fault(Fault),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
