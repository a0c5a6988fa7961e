//! A management call that is made once, however often it is sent (`Idempotency-Key`).

/// What names the call, and what is asked.
#[derive(Clone, Copy, Debug)]
pub struct OnceCall<'a> {
    /// Id of the API key, or what stands for one in events.
    pub caller: &'a str,
    /// What the caller may do. An answer that was given to a stronger caller, or to a weaker one, is none of its
    /// own any more.
    pub reach: &'a str,
    pub method: &'a str,
    pub path: &'a str,
    /// Of the header.
    pub value: &'a str,
    /// Everything else that is asked; another request under the same value is refused.
    pub request: &'a [u8],
}
