//! What keeps the server from storing batches at present.

/// Why a batch waits. It ends when somebody mends it, and nothing is lost meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// JetStream's storage, that of the server or of the account, is full.
    Storage,
    /// The server does not let this host publish where it must.
    Permission,
    /// The server takes only smaller messages than it took when this host started.
    Payload,
    /// The connection is down.
    Connection,
    /// The server says that it cannot store anything, for another reason: no leader, for one.
    Server,
}

impl Hindrance {
    /// All that there are.
    pub const ALL: [Self; 5] = [Self::Storage, Self::Permission, Self::Payload, Self::Connection, Self::Server];

    /// Its name, as `pelton_commit_waits` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Permission => "permission",
            Self::Payload => "payload",
            Self::Connection => "connection",
            Self::Server => "server",
        }
    }
}
