//! Pelton as a whole: the real host on a real server, seen from outside.
#![allow(clippy::print_stderr, reason = "crash tests tell what they saw")]

mod crash_host;
mod crash_server;
mod oracle;
mod random;
mod two_hosts;
