"""PostgreSQL: the only SQL of the project. Every function takes the connection; transactions are opened above."""
