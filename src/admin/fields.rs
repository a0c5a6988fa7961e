//! Request bodies as tables of fields: one line a field gives both what is read and what the OpenAPI
//! document says, so that they cannot drift.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::admin::input::Fields;
use crate::domain::Refusal;

/// One field of a body, for its schema.
pub struct FieldDoc {
    pub name: &'static str,
    /// The lines of the doc comment.
    pub about: &'static [&'static str],
    /// [`crate::admin::input::FromJson::schema`].
    pub schema: Value,
    /// What is said of it beside its type: bounds, pattern, examples.
    pub bounds: Value,
}

/// A body that [`fields!`] made.
pub trait Body {
    /// In `components.schemas`.
    const NAME: &'static str;
    const ABOUT: &'static [&'static str];
    /// Must be there at creation.
    const REQUIRED: &'static [&'static str];
    /// May not be named in a change.
    const AT_CREATION: &'static [&'static str];
    fn fields() -> Vec<FieldDoc>;
}

/// A body that may be left out, and has no field.
pub struct Nothing;

impl Nothing {
    pub fn read(fields: Fields) -> Result<Self, Refusal> {
        fields.finish().map(|()| Self)
    }
}

impl JsonSchema for Nothing {
    fn schema_name() -> Cow<'static, str> {
        "Nothing".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema(Vec::new(), &[], &[])
    }
}

/// The body of a creation: `New…` in the document.
pub struct New<B>(PhantomData<B>);

/// The body of a merge patch: `…Change` in the document. `null` means the default.
pub struct Change<B>(PhantomData<B>);

impl<B: Body> JsonSchema for New<B> {
    fn schema_name() -> Cow<'static, str> {
        format!("New{}", B::NAME).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema(B::fields(), B::ABOUT, B::REQUIRED)
    }
}

impl<B: Body> JsonSchema for Change<B> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Change", B::NAME).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let fields = B::fields().into_iter().filter(|field| !B::AT_CREATION.contains(&field.name));
        schema(fields.collect(), B::ABOUT, &[])
    }
}

/// An object of these fields and no other. What is not required may be `null`, for its default.
pub fn schema(fields: Vec<FieldDoc>, about: &[&str], required: &[&str]) -> Schema {
    let mut properties = Map::new();
    for field in fields {
        let mut schema = field.schema;
        if let (Value::Object(schema), Value::Object(bounds)) = (&mut schema, field.bounds) {
            schema.extend(bounds);
        }
        if !required.contains(&field.name) {
            nullable(&mut schema);
        }
        let about = text(field.about);
        if !about.is_empty() {
            schema["description"] = about.into();
        }
        properties.insert(field.name.to_owned(), schema);
    }
    let mut whole = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        whole["required"] = json!(required);
    }
    let about = text(about);
    if !about.is_empty() {
        whole["description"] = about.into();
    }
    Schema::try_from(whole).unwrap_or_default()
}

fn nullable(schema: &mut Value) {
    if let Some(kind) = schema.get("type").and_then(Value::as_str) {
        schema["type"] = json!([kind, "null"]);
    }
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.push(Value::Null);
    }
}

fn text(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Declares a body. A line is `name: Type`, where `Type` is [`crate::admin::input::FromJson`]; then, if need
/// be, bounds as JSON Schema in braces and `=> function` that makes the draft's value of it.
///
/// With `=> Draft` the name is a body that reads into the engine's draft, which has a field of each
/// name and `slips`; without, a struct of [`crate::domain::patch::Field`]s is made.
macro_rules! fields {
    (
        $(#[doc = $about:literal])*
        $body:ident => $draft:ident named $label:literal required $required:tt at_creation $creation:tt {
            $($(#[doc = $doc:literal])* $name:ident: $kind:ty $({ $($bounds:tt)* })? $(=> $read:expr)?,)*
        }
    ) => {
        $(#[doc = $about])*
        pub struct $body;

        impl $body {
            /// Takes every field out of a body.
            pub fn draft(fields: &mut $crate::admin::input::Fields) -> $draft {
                $draft {
                    $($name: fields.take::<$kind>(stringify!($name))$(.map($read))?,)*
                    // Last: what is left over is no field.
                    slips: fields.slips(),
                }
            }
        }

        $crate::admin::fields::fields!(@doc [$($about)*] $body $label $required $creation {
            $([$($doc)*] $name: $kind { $($($bounds)*)? },)*
        });
    };
    (
        $(#[doc = $about:literal])*
        struct $body:ident required $required:tt {
            $($(#[doc = $doc:literal])* $name:ident: $kind:ty $({ $($bounds:tt)* })?,)*
        }
    ) => {
        $(#[doc = $about])*
        pub struct $body {
            $($(#[doc = $doc])* pub $name: $crate::domain::patch::Field<$kind>,)*
        }

        impl $body {
            /// Takes every field out of a body; refuses what was mistyped and what is left over.
            pub fn read(mut fields: $crate::admin::input::Fields) -> Result<Self, $crate::domain::Refusal> {
                let body = Self { $($name: fields.take(stringify!($name)),)* };
                fields.finish()?;
                Ok(body)
            }
        }

        impl schemars::JsonSchema for $body {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($body).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                use $crate::admin::fields::Body;
                $crate::admin::fields::schema(Self::fields(), Self::ABOUT, Self::REQUIRED)
            }
        }

        $crate::admin::fields::fields!(@doc [$($about)*] $body (stringify!($body)) $required [] {
            $([$($doc)*] $name: $kind { $($($bounds)*)? },)*
        });
    };
    (
        @doc [$($about:literal)*] $body:ident $label:tt [$($required:ident),*] [$($creation:ident),*] {
            $([$($doc:literal)*] $name:ident: $kind:ty { $($bounds:tt)* },)*
        }
    ) => {
        impl $crate::admin::fields::Body for $body {
            const NAME: &'static str = $label;
            const ABOUT: &'static [&'static str] = &[$($about),*];
            const REQUIRED: &'static [&'static str] = &[$(stringify!($required)),*];
            const AT_CREATION: &'static [&'static str] = &[$(stringify!($creation)),*];

            fn fields() -> Vec<$crate::admin::fields::FieldDoc> {
                vec![$($crate::admin::fields::FieldDoc {
                    name: stringify!($name),
                    about: &[$($doc),*],
                    schema: <$kind as $crate::admin::input::FromJson>::schema(),
                    bounds: serde_json::json!({ $($bounds)* }),
                },)*]
            }
        }
    };
}

pub(in crate::admin) use fields;
