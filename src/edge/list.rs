//! Lists of any length: read in steps and shown up to a number of bytes, so that neither an answer nor the
//! memory that it takes grows with what somebody has made.

use std::io;

use serde::Serialize;

use crate::domain::page::{Page, PageRequest};
use crate::domain::{Failed, Refusal, RefusalKind};

/// Most bytes of the items in one answer. A single item may be larger.
pub const MOST_BYTES: usize = 1 << 20;
/// Rows that are read at once. A row has at most the size of a body, 64 KiB.
pub const STEP: u32 = PageRequest::DEFAULT;
/// Rows that are read for a list without pages, shown or not.
const MOST_ROWS: usize = 10_000;

/// What the items of an answer take so far.
#[derive(Default)]
pub struct ListBytes(usize);

impl ListBytes {
    /// Whether another item fits; then it counts. The first one always does.
    pub fn fits(&mut self, item: &impl Serialize) -> bool {
        let mut bytes = Count(1);
        // What cannot be written is as large as an answer.
        let length = serde_json::to_writer(&mut bytes, item).map_or(MOST_BYTES, |()| bytes.0);
        if self.0 > 0 && self.0 + length > MOST_BYTES {
            return false;
        }
        self.0 += length;
        true
    }
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A list of an API that has no pages: all of it, or a refusal that says what to do `instead`.
pub async fn whole<T, U: Serialize>(
    mut read: impl AsyncFnMut(PageRequest) -> Result<Page<T>, Failed>,
    show: impl Fn(&T) -> Option<U>,
    instead: &'static str,
) -> Result<Vec<U>, Failed> {
    let (mut all, mut rows, mut bytes) = (Vec::new(), 0, ListBytes::default());
    let mut request = PageRequest::first(STEP);
    loop {
        let Page { items, next } = read(request.clone()).await?;
        rows += items.len();
        for item in items.iter().filter_map(&show) {
            if rows > MOST_ROWS || !bytes.fits(&item) {
                return Err(too_long(instead).into());
            }
            all.push(item);
        }
        match next {
            Some(_) if rows >= MOST_ROWS => return Err(too_long(instead).into()),
            Some(after) => request.after = Some(after),
            None => return Ok(all),
        }
    }
}

pub fn too_long(instead: &'static str) -> Refusal {
    let hint = format!("The list is longer than one answer may be: 1 MiB or {MOST_ROWS} entries. {instead}");
    Refusal::with_hint(RefusalKind::MalformedRequest, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_fit_up_to_a_number_of_bytes_and_the_first_always_does() {
        let item = "x".repeat(MOST_BYTES / 4 - 3);
        let mut bytes = ListBytes::default();
        assert_eq!([(); 5].map(|()| bytes.fits(&item)), [true, true, true, true, false]);
        let mut bytes = ListBytes::default();
        assert!(bytes.fits(&"x".repeat(MOST_BYTES * 2)));
        assert!(!bytes.fits(&""));
    }
}
