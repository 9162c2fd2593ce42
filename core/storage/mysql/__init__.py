"""What the drivers of MariaDB and MySQL are told and how they are asked. Which of them is taken: ``core.values``."""
