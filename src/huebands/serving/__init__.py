"""The HTTP interface that `service` serves: the application, what it reads of a request, and the page for people."""
