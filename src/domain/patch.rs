//! One field of a change: left alone, put back to its default, or set (RFC 7396 seen from a field).

/// What a change says about one field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// Not named: stays as it is; at creation, the default.
    #[default]
    Keep,
    /// `null`: the default.
    Reset,
    Set(T),
}

impl<T> Field<T> {
    /// The value this field has afterwards.
    pub fn over(self, current: T, default: T) -> T {
        match self {
            Self::Keep => current,
            Self::Reset => default,
            Self::Set(value) => value,
        }
    }

    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// Reads the value with `read`, which may refuse it.
    pub fn try_map<U, E>(self, read: impl FnOnce(T) -> Result<U, E>) -> Result<Field<U>, E> {
        Ok(match self {
            Self::Keep => Field::Keep,
            Self::Reset => Field::Reset,
            Self::Set(value) => Field::Set(read(value)?),
        })
    }

    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Field<U> {
        match self {
            Self::Keep => Field::Keep,
            Self::Reset => Field::Reset,
            Self::Set(value) => Field::Set(convert(value)),
        }
    }
}

impl<T> From<Option<T>> for Field<T> {
    /// A command line flag: given or not.
    fn from(given: Option<T>) -> Self {
        given.map_or(Self::Keep, Self::Set)
    }
}
