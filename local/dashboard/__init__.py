"""CloudWatch's dashboards, as far as they have custom widgets: a page that invokes their functions as the console does."""
