#![doc = include_str!("ARCHITECTURE.md")]

pub mod auth;
pub mod bytes;
pub mod command;
pub mod config;
pub mod conn;
pub mod hash;
pub mod limits;
pub mod net;
pub mod protocol;
pub mod server;
pub mod store;
pub mod sync;
pub mod sys;
pub mod telemetry;
pub mod time;
