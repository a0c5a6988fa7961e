//! What the settings say of the surfaces, in the words of the edge and of the dialects.

use std::collections::HashMap;

use crate::admin::Admin;
use crate::config;
use crate::dialects::{self, Surfaces};
use crate::domain::ProviderSlug;
use crate::edge::surface::operations;
use crate::ops::{Operations, Ops};
use crate::web::Web;

/// The provider that each surface serves at the root, by the surface's name.
pub fn root_providers(settings: &config::Surfaces) -> HashMap<&'static str, ProviderSlug> {
    let config::Surfaces { runai, deepgram, usegrant, vocalstack, endorsed } = settings;
    let named = [
        ("runai", runai),
        ("deepgram", deepgram),
        ("usegrant", usegrant),
        ("vocalstack", vocalstack),
        ("endorsed", endorsed),
    ];
    named.into_iter().map(|(name, surface)| (name, surface.provider.as_str().into())).collect()
}

/// Which surfaces are on, and where.
pub fn switched(settings: &config::Surfaces) -> Surfaces {
    let config::Surfaces { runai, deepgram, usegrant, vocalstack, endorsed } = settings;
    let place = |surface: &config::Surface| surface.enabled.then(|| surface.host.clone());
    Surfaces {
        runai: place(runai),
        deepgram: place(deepgram),
        usegrant: place(usegrant),
        vocalstack: place(vocalstack),
        endorsed: place(endorsed),
    }
}

/// Every operation that is served, for the OpenAPI document. `base` is the path of the public URL.
pub fn all_operations(settings: &config::Surfaces, base: &str) -> Operations {
    let mut all = dialects::operations(&switched(settings));
    all.extend(operations::<Web>(true).chain(operations::<Admin>(false)).chain(operations::<Ops>(false)));
    Operations::new(all, base)
}
