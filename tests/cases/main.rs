//! Pelton as a whole: the real host on a real server, seen from outside.
#![allow(clippy::print_stderr, reason = "crash tests tell what they saw")]
#![allow(clippy::indexing_slicing, reason = "what is not there fails the test")]

mod apart;
mod app_stream;
mod attacks;
mod blocked;
mod c_bindings;
mod cases;
mod cli;
mod crash_host;
mod crash_server;
mod dead_letters;
mod envelope;
mod events_http;
mod failure;
mod graph;
mod group;
mod guards;
mod http;
mod identity;
mod lag;
mod languages;
mod lint;
mod loading;
mod main_path;
mod metrics;
mod new;
mod openapi;
mod operate;
mod oracle;
mod page;
mod panics;
mod positions;
mod probe;
mod random;
mod record;
mod retail;
mod shell;
mod sizes;
mod stock_clients;
mod stopping;
mod swap;
mod tap;
mod two_hosts;
mod views_http;
