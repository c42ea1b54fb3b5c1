//! What the probe can be told to do.

use serde::Deserialize;

/// One thing to do.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Emit `n` events of `size` bytes, with an attribute of a name and a length.
    Emit {
        #[serde(default = "one")]
        n: usize,
        #[serde(default)]
        size: usize,
        #[serde(default = "out")]
        category: String,
        key: Option<String>,
        attribute: Option<(String, usize)>,
    },
    /// Write a value, or `size` bytes.
    Write {
        #[serde(default = "v")]
        view: String,
        key: String,
        value: Option<String>,
        #[serde(default)]
        size: usize,
    },
    /// Write `n` keys below `key`.
    Writes { n: usize, key: String },
    /// Delete a key of the view `v`.
    Delete(String),
    /// Read a number of the view `v` and write the next one.
    Count(String),
    /// Read a key.
    Get { view: String, key: String },
    /// Write a line to the log.
    Log(String),
    /// Write a line to standard output and to standard error.
    Print(String),
    /// Emit what the config says under a name.
    Config(String),
    /// Emit a random number.
    Random,
    /// Emit everything seen of the event but its payload.
    Echo,
    /// Ask for another try, after so many milliseconds.
    Retry(Option<u64>),
    /// Reject, unless a key of the view `v` has a value.
    Require(String),
    /// Reject.
    Reject(String),
    /// Do one thing this many times.
    Repeat(u64, Box<Order>),
    /// Read `n` different keys below `key`.
    Reads { view: String, n: u64, key: String },
    /// Log one line of `size` bytes.
    LogBytes(usize),
    /// Emit how many events this instance has seen, which no handler may depend on.
    Hidden,
    /// Panic with this message.
    Panic(String),
    /// Trap.
    Trap,
    /// Never return.
    Spin,
    /// Take memory until there is none.
    Grow,
}

fn one() -> usize {
    1
}

fn out() -> String {
    "out".to_owned()
}

fn v() -> String {
    "v".to_owned()
}
