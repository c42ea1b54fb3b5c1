//! What runs beside the modules of a host: HTTP, the measuring of lag, and what the service manager is told.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{App, Connections, lag};
use crate::config::Config;
use crate::http::{STREAMS, Served, Server};
use crate::notify::Manager;
use crate::query::Query;
use crate::service;
use crate::status::Status;

/// What runs beside the modules.
pub struct Beside {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Beside {
    /// Starts it, to run until `stop`.
    pub fn start(
        server: Option<Server>,
        config: &Config,
        connections: &Connections,
        app: &App,
        stop: CancellationToken,
    ) -> Self {
        let (tasks, status) = (TaskTracker::new(), &app.status);
        let query = Arc::new(Query::of(&app.name, connections.jetstream(), app.reader.clone()));
        tasks.spawn(lag::measure(query.clone(), config.modules.clone(), status.clone(), stop.clone()));
        let asked = service::Served { query: query.clone(), status: status.clone() };
        tasks.spawn(service::serve(asked, connections.clone(), stop.clone()));
        if let Some(server) = server {
            let served = Served {
                config: Arc::new(config.clone()),
                status: status.clone(),
                connections: connections.clone(),
                query,
                streams: Arc::new(Semaphore::new(STREAMS)),
                shutdown: stop.clone(),
            };
            tasks.spawn(server.serve(served));
        }
        Self { tasks, stop }
    }

    /// Tells the service manager, if there is one, that the modules run, and how they are from now on.
    pub fn notify(&self, status: &Status) {
        if let Some(manager) = Manager::of_process() {
            self.tasks.spawn(manager.keep_told(status.clone(), self.stop.clone()));
        }
    }

    /// Has it finish what is at work, and waits until it has.
    pub async fn finish(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
