//! Identifiers as types, so that one cannot stand in for another. Generated ids are UUID v7 text;
//! a `client_id` may be chosen by the admin instead.

use std::fmt;
use std::sync::Arc;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// Primary key of a provider.
    ProviderId
);
id!(
    /// The name of a provider in a path; never changes, never reused.
    ProviderSlug
);
id!(
    /// The OAuth `client_id`, unique within its provider (RFC 6749 §2.2).
    ClientId
);
id!(
    /// Primary key of one client secret.
    SecretId
);
id!(
    /// Primary key of an account; also the `sub` of its tokens.
    UserId
);
id!(
    /// Primary key of a browser session; the `sid` of tokens.
    SessionId
);
id!(
    /// Primary key of a trusted issuer.
    IssuerId
);
id!(
    /// Primary key of a tenant.
    TenantId
);
id!(
    /// Primary key of a policy by which a tenant's tokens are judged.
    TrustPolicyId
);
id!(
    /// Primary key of a provider's domain.
    DomainId
);
id!(
    /// Primary key of a webhook.
    WebhookId
);
id!(
    /// Primary key of an API key; also the `sub` of tokens it mints.
    ApiKeyId
);

/// Whether `text` has the shape of a UUID (8-4-4-4-12 hexadecimal digits, any letter case).
///
/// ```text
/// 497f6eca-6276-4993-bfeb-53cbbbba6f08  → true
/// my-client                             → false
/// ```
pub fn is_uuid_shaped(text: &str) -> bool {
    let groups = || text.split('-');
    text.len() == 36
        && groups().map(str::len).eq([8, 4, 4, 4, 12])
        && groups().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Names that events give to actors that have no row. They never stand for a client, a person or an API key.
const RESERVED: [&str; 4] = ["env", "system", "cli", "grantd"];

/// Whether the name can never be taken.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// The key by which the names of principals are compared: a UUID as its 32 digits, another name as it is.
/// Some readers of tokens take any spelling of a UUID for the same id.
///
/// ```text
/// 497F6ECA-6276-4993-BFEB-53CBBBBA6F08           → 497f6eca62764993bfeb53cbbbba6f08
/// urn:uuid:497f6eca-6276-4993-bfeb-53cbbbba6f08  → 497f6eca62764993bfeb53cbbbba6f08
/// {497f6eca62764993bfeb53cbbbba6f08}             → 497f6eca62764993bfeb53cbbbba6f08
/// My-client                                      → My-client
/// ```
///
/// The migration of `principal_names` says the same in SQL.
pub fn principal_key(name: &str) -> String {
    let lower = name.to_ascii_lowercase().replace("urn:uuid:", "");
    let digits: String = lower.chars().filter(|character| !matches!(character, '-' | '{' | '}' | '(' | ')')).collect();
    let is_uuid = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_uuid { digits } else { name.to_owned() }
}

/// A `client_id` that an admin may choose: `[A-Za-z0-9._-]{1,64}`, not shaped like a UUID, so that a
/// chosen one never collides with a generated one.
pub fn is_choosable_client_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed) && !is_uuid_shaped(text)
}

/// Whether `text` could be a `client_id` at all, generated or chosen.
pub fn is_client_id(text: &str) -> bool {
    is_uuid_shaped(text) || is_choosable_client_id(text)
}

/// A provider slug: `[a-z0-9][a-z0-9-]{0,62}`, not shaped like a UUID.
pub fn is_slug(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('-') && !is_uuid_shaped(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_shapes_are_told_from_names() {
        assert!(is_uuid_shaped("497f6eca-6276-4993-bfeb-53cbbbba6f08"));
        assert!(is_uuid_shaped("497F6ECA-6276-4993-BFEB-53CBBBBA6F08"));
        assert!(!is_uuid_shaped("497f6eca-6276-4993-bfeb-53cbbbba6f0g"));
        assert!(!is_uuid_shaped("497f6eca62764993bfeb53cbbbba6f08"));
    }

    #[test]
    fn every_spelling_of_a_uuid_has_one_key() {
        const ID: &str = "497f6eca-6276-4993-bfeb-53cbbbba6f08";
        let bare = ID.replace('-', "");
        for spelling in [
            ID.to_owned(),
            ID.to_uppercase(),
            bare.clone(),
            format!("{{{ID}}}"),
            format!("({ID})"),
            format!("urn:uuid:{ID}"),
            format!("URN:UUID:{}", bare.to_uppercase()),
        ] {
            assert_eq!(principal_key(&spelling), bare, "{spelling}");
        }
        for other in ["", "shop", "Shop", "my-client", "{shop}", "urn:uuid:shop", &ID[1..], &format!("{ID}0"), "ä"] {
            assert_eq!(principal_key(other), other);
        }
        assert!(is_reserved("system") && !is_reserved("System") && !is_reserved("systems"));
    }

    #[test]
    fn chosen_client_ids_and_slugs_keep_to_their_alphabet() {
        assert!(is_choosable_client_id("My.app_1-x"));
        assert!(!is_choosable_client_id(""));
        assert!(!is_choosable_client_id("a b"));
        assert!(!is_choosable_client_id(&"a".repeat(65)));
        assert!(!is_choosable_client_id("497f6eca-6276-4993-bfeb-53cbbbba6f08"));
        assert!(is_slug("acme-prod"));
        assert!(!is_slug("-acme"));
        assert!(!is_slug("Acme"));
        assert!(!is_slug(&"a".repeat(64)));
    }
}
