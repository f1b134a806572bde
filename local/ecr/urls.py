"""The addresses of ECR's API, as moto wants them."""

from local.ecr.responses import EcrResponse

url_bases = [r"https?://ecr\.(.+)\.amazonaws\.com", r"https?://api\.ecr\.(.+)\.amazonaws\.com"]
url_paths = {"{0}/$": EcrResponse.dispatch}
