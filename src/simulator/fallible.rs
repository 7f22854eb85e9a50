//! What can go wrong with any simulated device: faults that tests order, and a port that closes.

/// Gives a device with `shared.faults` and `server` the handles by which a test lets it fail.
macro_rules! fallible {
    ($device:ident) => {
        impl $device {
            /// Lets something go wrong.
            pub fn fault(&self, fault: $crate::simulator::Fault) {
                self.shared.faults.add(fault);
            }

            /// Nothing goes wrong any more. Requests that hang stay so.
            pub fn clear_faults(&self) {
                self.shared.faults.clear();
            }

            /// Closes the port and all connections.
            pub async fn down(&self) {
                self.server.down().await;
            }

            /// Opens the same port again.
            pub async fn up(&self) -> std::io::Result<()> {
                self.server.up().await
            }
        }
    };
}

pub(super) use fallible;
